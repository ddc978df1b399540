# How fish completes companion: in config.fish, companion completions fish | source
function __companion_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (printf '%s\n' $words[2..] | command companion completions fish --words 2>/dev/null)
    if set -q found[1]
        string join \n -- $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c companion -f -a '(__companion_complete)'
