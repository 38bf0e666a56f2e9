#!/bin/sh
# Installs what the tests use and this machine lacks: tests/setup.sh [TOOL...]
#
# On Debian, every tool that is not part of Rust comes in a package of its own name, with few exceptions. Where nothing
# can be installed, this says what is missing and goes on: the tests that need it tell.

set -- pkg-config cmake mandoc g++ clang mold libuv glib-2.0 rustfmt cargo-clippy "$@"

packages= components= crates=
for tool; do
	"$tool" --version >/dev/null 2>&1 || pkg-config --exists "$tool" 2>/dev/null && continue
	case $tool in
	libuv) packages="$packages libuv1-dev" ;;
	glib-2.0) packages="$packages libglib2.0-dev" ;;
	abidiff) packages="$packages abigail-tools" ;;
	mandoc) command -v mandoc >/dev/null || packages="$packages mandoc" ;;
	busybox) command -v busybox >/dev/null || packages="$packages busybox-static" ;;
	qemu-system-x86_64) packages="$packages qemu-system-x86" ;;
	cargo-fuzz) crates="$crates $tool" ;;
	rustfmt | cargo-clippy) components="$components ${tool#cargo-}" ;;
	*) packages="$packages $tool" ;;
	esac
done

if [ "$packages" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -q && apt-get install -q -y --no-install-recommends $packages
	else
		false
	fi || echo "Not installed, and needed for every test to run:$packages" >&2
fi

if [ "$components" ]; then
	rustup component add $components || echo "Not installed, and needed for every test to run:$components" >&2
fi

if [ "$crates" ]; then
	cargo install --locked $crates || echo "Not installed, and needed for every test to run:$crates" >&2
fi
