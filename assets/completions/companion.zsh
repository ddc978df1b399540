#compdef companion
# How zsh completes companion: after compinit in ~/.zshrc, source <(companion completions zsh)
_companion() {
  local -a found
  found=("${(@f)$(printf '%s\n' "${(@)words[2,CURRENT]}" |
    command companion completions zsh --words 2>/dev/null)}")
  if [[ -n "$found" ]]; then
    found=("${(@)found//$'\t'/:}")
    _describe companion found
  else
    _files
  fi
}
compdef _companion companion
