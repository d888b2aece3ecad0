#compdef reconciler
# Completion of the command reconciler for zsh, in ~/.zshrc:
#     eval "$(reconciler completion zsh)"
# or as a file _reconciler in a folder of fpath.

_reconciler() {
    local type value help
    local -a described
    while IFS=$'\t' read -r type value help; do
        case $type in
            # The part of the word that is an option already stays as it is.
            lead) compset -p ${#value} ;;
            plain) described+=("${value//:/\\:}${help:+:$help}") ;;
            file)
                compset -p ${#value}
                _files
                ;;
        esac
    done < <(
        _RECONCILER_COMPLETE=zsh COMPLETE_LINE="${(j: :)words[1,CURRENT-1]} $IPREFIX$PREFIX" ${(Q)words[1]} 2>/dev/null
    )
    (( $#described )) && _describe -V values described
}

_reconciler_register() {
    add-zsh-hook -d precmd _reconciler_register
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D -i }
    compdef _reconciler reconciler
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _reconciler "$@"
else
    # At the first prompt, since ~/.zshrc may set completion up after this line, or not at all.
    autoload -Uz add-zsh-hook
    add-zsh-hook precmd _reconciler_register
fi
