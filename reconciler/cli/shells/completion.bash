# Completion of the command reconciler for bash 4.4 and newer:
#     eval "$(reconciler completion bash)"
# An older bash shows words in another order, and file names where nothing else fits.

_reconciler() {
    local IFS=$'\n' type value help
    COMPREPLY=()
    # A word ends where bash says that one does (at = and : too), so that only the rest of one may be given.
    while IFS=$'\t' read -r type value help; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default -o filenames 2>/dev/null ;;
        esac
    done < <(
        _RECONCILER_COMPLETE=bash COMPLETE_LINE="${COMP_LINE:0:COMP_POINT}" COMPLETE_BREAKS="$COMP_WORDBREAKS" \
            "$1" 2>/dev/null
    )
}

if [[ ${BASH_VERSINFO[0]} -gt 4 || (${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4) ]]; then
    complete -o nosort -F _reconciler reconciler
else
    complete -o default -F _reconciler reconciler
fi
