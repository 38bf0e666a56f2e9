#!/bin/sh
# Installs what the tests use and this machine lacks: tests/setup.sh [TOOL...]
#
# On Debian, every tool that is not part of Rust comes in a package of its own name, with few exceptions. Where nothing
# can be installed, this says what is missing and goes on: the tests that need it tell. With IOQ_TESTS_NEED_TOOLS in the
# environment, an installation that fails is a failure.

set -- pkg-config cmake mandoc g++ clang mold libuv glib-2.0 rustfmt cargo-clippy "$@"

packages= components= crates= missing= failed=
for tool; do
	"$tool" --version >/dev/null 2>&1 || pkg-config --exists "$tool" 2>/dev/null && continue
	case $tool in
	libuv) packages="$packages libuv1-dev" ;;
	glib-2.0) packages="$packages libglib2.0-dev" ;;
	abidiff) packages="$packages abigail-tools" ;;
	mandoc) command -v mandoc >/dev/null || packages="$packages mandoc" ;;
	busybox) command -v busybox >/dev/null || packages="$packages busybox-static" ;;
	qemu-system-x86_64) packages="$packages qemu-system-x86" ;;
	debian-archive-keyring) [ -e /usr/share/keyrings/$tool.gpg ] || packages="$packages $tool" ;;
	cargo-fuzz) crates="$crates $tool" ;;
	rustfmt | cargo-clippy) components="$components ${tool#cargo-}" ;;
	*) packages="$packages $tool" ;;
	esac
done

if [ "$packages" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		{
			apt-get update -q -o Acquire::Retries=3 &&
				apt-get install -q -y -o Acquire::Retries=3 --no-install-recommends $packages
		} || failed=$packages
	else
		missing=$packages
	fi
fi

if [ "$components" ]; then
	rustup component add $components || failed="$failed$components"
fi

if [ "$crates" ]; then
	cargo install --locked $crates || failed="$failed$crates"
fi

[ -z "$missing$failed" ] || echo "Not installed, and needed for every test to run:$missing$failed" >&2
[ -z "$failed" ] || [ -z "$IOQ_TESTS_NEED_TOOLS" ]
