# shellcheck shell=sh
# The file is written by `up`, `attach` and `down`, and acts once for each time it was written: a DOCKER_HOST that was set
# by hand stays until then. `down` of the last sandbox removes it.
__labkit_env() {
  __labkit_status=$?
  if [ -r "$LABKIT_ENV_FILE" ]; then
    . "$LABKIT_ENV_FILE"
  elif [ -n "${LABKIT_ENV_STAMP-}" ]; then
    # shellcheck disable=SC2086
    unset ${LABKIT_ENV_SET-} LABKIT_ENV_STAMP LABKIT_ENV_SET
  fi
  return $__labkit_status
}
