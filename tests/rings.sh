# shellcheck shell=bash
# Sourced by the tests that try a program on every backend.

# why_no_rings COMMAND...: succeeds if the command, told to insist on rings, cannot have any, and prints what it says. What
# else may be wrong with it then, such as a crash, is no reason to leave a test out.
why_no_rings() {
	local said
	said=$(IOQ_BACKEND=uring "$@" 2>&1 >/dev/null)
	[ $? = 1 ] && grep -E 'Function not implemented|Operation not permitted|Permission denied' <<<"$said"
}
