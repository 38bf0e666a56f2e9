#!/bin/sh
# In the chroot: builds and installs the library for another machine, below /everywhere/TARGET: build.sh TARGET COMPILER [OPTION...]

target=$1 compiler=$2
here=/everywhere/$target
shift 2
exec make --silent CARGO_TARGET_DIR="$here" BUILD="$here/build" PREFIX="$here/prefix" CARGO_BUILD_TARGET="$target" \
	CC="$compiler" "$@" install
