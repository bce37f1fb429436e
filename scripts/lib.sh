# shellcheck shell=bash
# Shared by the scripts beside it: messages, and packages installed without a question.

say() { printf 'codebench: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# as_root COMMAND...: runs it as root, through sudo where sudo asks for nothing; else fails.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null && sudo -n "$@" 2>/dev/null
    fi
}

# apt_install PACKAGE...: installs them from the system's packages; fails where apt or root is missing.
apt_install() {
    local output
    command -v apt-get >/dev/null || return 1
    as_root true || return 1
    say "installing from the system's packages: $*"
    apt_get install "$@" >/dev/null && return 0
    # Stale or missing package lists are the common cause: refresh them once.
    apt_get update >/dev/null || true
    output=$(apt_get install "$@") && return 0
    say "apt-get install $* failed: $(grep '^E: ' <<<"$output" | head -n 1)"
    return 1
}

# apt_get COMMAND...: never asks; stdout and stderr together.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
        apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" 2>&1 </dev/null
}
