#!/usr/bin/env bash
# Copies the server's log, and after the line that says it is ready prints how to try it.
set -u
trap '' INT  # the server ends first; its last lines still pass
while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
        *"ready to serve client requests"*)
            cat <<'TEXT'

Try it in another terminal:
  etcdctl put greeting "hello, world"
  etcdctl get greeting
  etcdctl watch greeting

TEXT
            ;;
    esac
done
