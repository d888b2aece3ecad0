# Completion of the command reconciler for fish, as a file that fish reads when it is needed:
#     reconciler completion fish > ~/.config/fish/completions/reconciler.fish
# or in ~/.config/fish/config.fish:
#     reconciler completion fish | source

function __reconciler_complete
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -l line (string join ' ' -- (string escape -- $before)) "$word"
    env _RECONCILER_COMPLETE=fish "COMPLETE_LINE=$line" $before[1] 2>/dev/null | while read -l -d \t type value help
        switch $type
            case plain
                printf '%s\t%s\n' $value $help
            case file
                # What follows the option, or the format and its =, is a file of the folder.
                set -l rest (string sub -s (math (string length -- "$value") + 1) -- "$word")
                for path in (__fish_complete_path "$rest")
                    echo $value$path
                end
        end
    end
end

# fish makes a file of its own from the manual page, which offers every option to every command. What it would load when
# somebody first presses the tabulator is loaded now, to be taken away: it does not load that file again.
complete --do-complete 'reconciler --' >/dev/null
complete --command reconciler --erase
complete --command reconciler --no-files --keep-order --arguments '(__reconciler_complete)'
