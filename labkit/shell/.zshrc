# The same as bashrc, for zsh, which looks for this name in $ZDOTDIR.
ZDOTDIR="${LABKIT_ZDOTDIR:-$HOME}"
if [ -r "$ZDOTDIR/.zshrc" ]; then . "$ZDOTDIR/.zshrc"; fi
case ":$PATH:" in *":$LABKIT_BIN:"*) ;; *) PATH="$LABKIT_BIN:$PATH" ;; esac
. "$LABKIT_SHELL_DIR/hook.sh"
precmd_functions+=(__labkit_env)
