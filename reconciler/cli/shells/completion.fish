# Completion of the command reconciler for fish, in ~/.config/fish/config.fish:
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

complete --command reconciler --no-files --keep-order --arguments '(__reconciler_complete)'
