#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the tools say when something is missing: one line, whatever it is; and what
# they leave behind is nothing that the next run has to trip over. A guest is the
# place for it: there is no network, and disks are as small and as full as wanted.
#
# kernels: none
# also: dynamic
# mem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2317 # make's variables; functions called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

checkout=/mnt/checkout cache=/mnt/cache source=/mnt/source bin=/mnt/bin
export DYNMEMMAP_CACHE=$cache
tools=$checkout/tools

# What they say of their progress begins with a name, and what is wrong with a path.
complaints()
{
	grep -vE '^(source|kernel|tree|deps|selftests-mm): [^c]' /tmp/said
}

refuses()	# NAME REGEX COMMAND...
{
	local name=$1 regex=$2 status=0
	local -a lines

	shift 2
	"$@" >/dev/null 2>/tmp/said || status=$?
	mapfile -t lines < <(complaints)
	if ((status != 0 && ${#lines[@]} == 1)) && [[ ${lines[0]} =~ $regex ]]; then
		ok "$name"
		note "${lines[0]}"
	else
		not_ok "$name"
		note "'$*' ended with status $status and said: $(</tmp/said)"
	fi
}

disk()	# DIRECTORY OPTIONS
{
	mkdir -p "$1"
	! mountpoint -q "$1" || umount "$1"
	mount -t tmpfs -o "$2" disk "$1"
}

# But for the locks.
is_empty()	# DIRECTORY
{
	[[ -z $(find "$1" -type f ! -name '*.lock') ]]
}

# As much of a kernel as the tools look at.
make_source()	# PATCHLEVEL
{
	mkdir -p $source
	printf '%s\n' 'VERSION = 7' "PATCHLEVEL = $1" 'kernelversion:' \
		'	@echo 7.3.0' 'allnoconfig:' '	cp $(KCONFIG_ALLCONFIG) $(O)/.config' >$source/Makefile
	echo one >$source/file
	echo '/*' >$source/.gitignore
}

make_patch()	# LINE_BEFORE
{
	mkdir -p $checkout/patches
	echo change.patch >$checkout/patches/series
	printf '%s\n' 'From: nobody <nobody@localhost>' 'Subject: change' '' 'Two.' '---' \
		'diff --git a/file b/file' '--- a/file' '+++ b/file' '@@ -1 +1 @@' "-$1" '+two' \
		>$checkout/patches/change.patch
}

# A file system has no room for the next file until it is given some more, again and
# again, until the command succeeds: it fails in each place where it can.
until_there_is_room()	# DIRECTORY FILES STEP COMMAND...
{
	local dir=$1 files=$2 step=$3 tries=0
	local -a lines

	shift 3
	until "$@" >/dev/null 2>/tmp/said; do
		mapfile -t lines < <(complaints)
		if ((${#lines[@]} != 1)) || [[ ! ${lines[0]} =~ room ]] || ((++tries > 40)); then
			echo "with room for $files files: $(</tmp/said)"
			return 1
		fi
		files=$((files + step))
		mount -o "remount,nr_inodes=$files" "$dir"
	done
	# For what comes next.
	mount -o remount,nr_inodes=1000 "$dir"
	echo "$tries failures before"
	((tries >= 3))
}

commit_all()	# SUBJECT
{
	git -C $tree -c user.name=nobody -c user.email=nobody@localhost commit -qam "$1"
}

mkdir -p $checkout/tests $bin
cp -r "$DYNMEMMAP/tools" $checkout/
cp -r "$DYNMEMMAP"/tests/{run,selftests-mm,config,guest} $checkout/tests/
cp "$DYNMEMMAP/Kconfig" $checkout/
make_source 3

disk $cache size=4g
refuses "the source cannot be fetched without a network" 'set KERNEL_SRC' $tools/source
expect_success "it leaves nothing behind" is_empty $cache
disk $cache size=100m
refuses "nor where there is no room for it" 'MiB free' $tools/source
expect_success "it leaves nothing behind" is_empty $cache
disk $cache ro
refuses "nor where nothing can be written" 'set DYNMEMMAP_CACHE' $tools/source
DYNMEMMAP_CACHE=/proc/none refuses "nor where there is no directory" \
	'set DYNMEMMAP_CACHE' $tools/source

export KERNEL_SRC=$source
KERNEL_SRC=/mnt/none refuses "a source that does not exist" 'does not exist' $tools/source
KERNEL_SRC=/mnt refuses "a source that is none" 'is no kernel source' $tools/source
make_source 4
refuses "a source of another version" 'is Linux 7.4' $tools/source
make_source 3
touch $source/.config
refuses "a source that was built in" 'make mrproper' $tools/source
rm $source/.config

refuses "a kernel where nothing can be written" 'set DYNMEMMAP_CACHE' \
	$tools/kernel --config dynamic
disk $cache size=100m
refuses "a kernel where there is no room" 'MiB free' $tools/kernel --config dynamic
expect_success "it leaves nothing behind" is_empty $cache
disk $cache size=4g
make_patch other
refuses "a patch that does not apply" 'does not apply to file:1' $tools/kernel --source dynamic
expect_success "it leaves nothing behind" is_empty $cache
echo none.patch >$checkout/patches/series
refuses "a patch that does not exist" 'names none.patch' $tools/kernel --source dynamic
make_patch one
mkdir -p $checkout/mm $source/mm
touch $checkout/mm/file.c $source/mm/file.c
refuses "a new file that is in the source" 'exists in the kernel source' \
	$tools/kernel --source dynamic
rm -r $checkout/mm $source/mm

disk $cache size=4g,nr_inodes=2
expect_success "a kernel is configured as soon as there is room" \
	until_there_is_room $cache 2 6 $tools/kernel --config dynamic
expect "its source is patched" "$(cat $cache/patched/file)" = two
expect "and as complete as before" -s $cache/patched/Makefile
expect_success "with what we add" cmp $checkout/Kconfig $cache/patched/mm/dynmemmap/Kconfig
echo CONFIG_NONE >>$checkout/tests/config/base.config
refuses "a fragment that says nothing" 'is not CONFIG_NAME=value' $tools/kernel --config dynamic

disk $cache ro
refuses "a tree where nothing can be written" 'DYNMEMMAP_CACHE' $tools/tree
disk $cache size=4g,nr_inodes=2
expect_success "the source is imported as soon as there is room" \
	until_there_is_room $cache 2 20 $tools/tree
disk $checkout/build nr_inodes=2
expect_success "a tree is laid out as soon as there is room" \
	until_there_is_room $checkout/build 2 25 $tools/tree
expect "it is patched" "$(cat $checkout/build/tree/file)" = two
echo three >$checkout/build/tree/file
refuses "what nobody has committed" 'commit them' $tools/tree
tree=$checkout/build/tree ours=mm/dynmemmap/Kconfig
commit_all commit
expect_success "a commit is written to patches/" $tools/tree --write
expect "it is another patch" "$(wc -l <$checkout/patches/series)" -eq 3
echo here >>$checkout/Kconfig
echo four >$tree/file
commit_all another
expect_success "another is" $tools/tree --write
expect "what has changed here only stays" "$(tail -n 1 $checkout/Kconfig)" = here
echo there >>$tree/$ours
commit_all third
refuses "what has changed here and there" 'undo one of the two' $tools/tree --write
expect "that stays, too" "$(tail -n 1 $checkout/Kconfig)" = here
sed -i '$d' $checkout/Kconfig
expect_success "what has changed there only is written" $tools/tree --write
expect_success "to where it lives" cmp $checkout/Kconfig $tree/$ours

disk $checkout/build ro
refuses "results that cannot be written" 'Read-only' $checkout/tests/run boot:dynamic
refuses "those of the selftests" 'Read-only' $checkout/tests/selftests-mm
disk $checkout/build nr_inodes=3
refuses "results without room" 'No space left' $checkout/tests/run boot:dynamic
refuses "a guest without a kernel" "run 'tools/kernel dynamic'" $tools/vm true
refuses "tests that do not exist" 'no test' $checkout/tests/run none
for arguments in '--numa 0' '--allow (' '--timeout 0' '--disk a:b'; do
	# shellcheck disable=SC2086 # an option and its value
	$tools/vm $arguments true 2>/dev/null
	expect "tools/vm $arguments is refused" $? -eq 2
done

# Nothing is installed, and nobody is there to give a password.
for program in bash dirname realpath grep sed apt-get; do
	ln -s "$(command -v $program)" $bin/
done
printf '#!/bin/sh\nexit 1\n' >$bin/dpkg-query
chmod +x $bin/dpkg-query
deps=(setpriv --reuid=65534 --clear-groups env "PATH=$bin" "$bin/bash" "$tools/deps")
refuses "packages without root" 'ask root for' "${deps[@]}"
cp $bin/dpkg-query $bin/sudo
refuses "packages without a password" 'wants a password' "${deps[@]}"

finish
