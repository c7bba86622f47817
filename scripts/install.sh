#!/bin/bash
# Install or remove ringmill: [DESTDIR=...] install.sh install|uninstall BUILD PREFIX
#
# The man pages and the completion are made here by the program itself, from its tables of options. What was
# installed is listed in PREFIX/share/ringmill/files, and `uninstall` removes just that.
set -eu

if [ $# -ne 3 ]; then
    echo "usage: [DESTDIR=...] install.sh install|uninstall BUILD PREFIX" >&2
    exit 2
fi
build=$2 prefix=$3 root=${DESTDIR:-}$3
manifest=$root/share/ringmill/files

put() { # mode, source, path below the prefix
    install -D -m "$1" "$2" "$root/$3"
    echo "$3" >> "$manifest"
}

put_output() { # path below the prefix; the content comes on standard input
    mkdir -p "$(dirname "$root/$1")"
    cat > "$root/$1"
    chmod 644 "$root/$1"
    echo "$1" >> "$manifest"
}

refresh_linker_cache() {
    if [ -z "${DESTDIR:-}" ] && [ "$(id -u)" -eq 0 ]; then
        PATH=$PATH:/usr/sbin:/sbin ldconfig || true
    fi
}

remove_all() {
    [ -e "$manifest" ] || return 0
    while read -r path; do
        rm -f "$root/$path"
    done < "$manifest"
    rm -f "$manifest"
    for folder in share/ringmill include/ringmill/base include/ringmill libexec/ringmill; do
        rmdir "$root/$folder" 2> /dev/null || true
    done
}

install_all() {
    local program=$build/ringmill command

    mkdir -p "$(dirname "$manifest")"
    : > "$manifest"
    put 755 "$program" bin/ringmill
    put 644 "$build/libringmill.a" lib/libringmill.a
    put 755 "$build/libringmill.so.0" lib/libringmill.so.0
    ln -sf libringmill.so.0 "$root/lib/libringmill.so"
    echo lib/libringmill.so >> "$manifest"
    sed "s|^prefix=.*|prefix=$prefix|" "$build/ringmill.pc" | put_output lib/pkgconfig/ringmill.pc
    # The public header and the three of base/ that it includes; ringmill.pc names their folder.
    put 644 engine/ringmill.h include/ringmill/ringmill.h
    for header in $(public_headers); do
        put 644 "$header" "include/ringmill/$header"
    done
    if [ -e "$build/ringmill-sim" ]; then
        put 755 "$build/ringmill-sim" libexec/ringmill/ringmill-sim
    fi
    "$program" help --man | put_output share/man/man1/ringmill.1
    for command in $("$program" help --list); do
        "$program" help --man "$command" | put_output "share/man/man1/ringmill-$command.1"
    done
    "$program" help --completion bash | put_output share/bash-completion/completions/ringmill
}

public_headers() { # what engine/ringmill.h includes of ours, and what that includes
    local todo=engine/ringmill.h seen=' ' header
    while [ -n "$todo" ]; do
        header=${todo%% *}
        todo=${todo#"$header"} todo=${todo# }
        case $seen in *" $header "*) continue ;; esac
        seen+="$header "
        todo+=" $(sed -n 's/^ *# *include "\(.*\)".*/\1/p' "$header" | tr '\n' ' ')"
        todo=${todo# } todo=${todo% }
    done
    echo "${seen/ engine\/ringmill.h / }"
}

case $1 in
install)
    remove_all
    install_all
    refresh_linker_cache
    echo "installed under $root"
    ;;
uninstall)
    remove_all
    refresh_linker_cache
    ;;
*)
    echo "install.sh: install or uninstall, not '$1'" >&2
    exit 2
    ;;
esac
