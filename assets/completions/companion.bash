# How bash completes companion: in ~/.bashrc, source <(companion completions bash)
_companion() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("${line%%$'\t'*}")
  done < <(printf '%s\n' "${COMP_WORDS[@]:1:COMP_CWORD}" |
    command companion completions bash --words 2>/dev/null)
}
complete -o default -F _companion companion
