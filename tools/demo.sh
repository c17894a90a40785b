#!/usr/bin/env bash
# The demo: restore, change, commit, destroy, restore again, and prove that both trees are equal.
#   tools/demo.sh                        the network of examples/network
#   tools/demo.sh URL-OR-PATH[@COMMIT]   any Git repository (bare or not, or a bundle), key by file
# Uses bennu and git only. Works on a copy under build/demo; the source is never written.
set -euo pipefail
asked_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The tests run this script with another build and another folder.
export LC_ALL=C.UTF-8 PATH="${BENNU_BIN_DIR:-$PWD/build/release}:$PATH" GIT_TERMINAL_PROMPT=0
work=${BENNU_DEMO_DIR:-build/demo}
remote=$work/remote.git

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' blue=$'\e[34m' plain=$'\e[0m'
else
  bold='' dim='' green='' blue='' plain=''
fi

# ---- showing what is run ---------------------------------------------------------------------------

steps=()

title() { printf '\n%s\n' "${bold}${blue}# $*${plain}"; }
note() { printf '%s\n' "${dim}$*${plain}"; }
fail() { printf '%s\n' "demo: $*" >&2; exit 1; }
now_us() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

seconds_since() {
  local hundredths=$((($(now_us) - $1) / 10000))
  printf '%d.%02d s' $((hundredths / 100)) $((hundredths % 100))
}

# show COMMAND...: prints it as one would type it.
show() {
  local word line=''
  for word in "$@"; do
    if [[ $word == *[[:space:]\<\>]* ]]; then line+=" \"$word\""; else line+=" $word"; fi
  done
  printf '%s\n' "${bold}\$${line}${plain}"
}

# run COMMAND...: shows it, runs it, says how long it took. Status 2 is "there are differences".
run() {
  local start status=0
  show "$@"
  start=$(now_us)
  "$@" || status=$?
  [[ $2 != kv || $3 != get ]] || echo  # a value is printed as it is, without a line end
  ((status == 0 || (status == 2 && $# > 1))) || fail "'$1 ${2:-}' ended with status $status"
  note "  $(seconds_since "$start")"
  steps+=("$(seconds_since "$start")  $*")
}

# json_field NAME: what stands behind "NAME" in the JSON on stdin.
json_field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

summary() {
  printf '\n%s\n' "${bold}time of each step${plain}"
  printf '  %.90s\n' "${steps[@]}"
}

# ---- the pieces of both cycles ---------------------------------------------------------------------

setting() {
  local value=$2
  [[ $value != *' '* ]] || value="\"$value\""
  printf '%s\n' "${bold}\$ export $1=$value${plain}"
  export "$1=$2"
}

fresh_folder() {
  rm -rf "$work"
  mkdir -p "$work"
}

destroy() {
  title 'the machine is gone: its data directory is deleted, whole'
  run rm -rf "$BENNU_DATA"
}

# Restores from the remote alone; what git says must be what bennu rebuilt from the restored store.
rise_again() {
  title 'a new machine: restore from the remote, and prove it'
  run bennu restore "$remote"
  run bennu verify
  local theirs ours
  theirs=$(git -C "$remote" rev-parse 'HEAD^{tree}')
  ours=$(bennu verify -o json | json_field kv_tree)
  printf '\n%s\n%s\n' "tree in the remote   $theirs" "tree of the store    $ours"
  [[ $theirs == "$ours" ]] || fail 'the trees differ'
  printf '%s\n' "${green}${bold}equal: nothing was lost${plain}"
}

# ---- the network of examples/network ---------------------------------------------------------------

# The example's files as the first commit of a repository, made without a work tree of its own.
network_remote() {
  local in_remote=(git --git-dir "$remote" --work-tree examples/network)
  git init -q --bare -b main "$remote"
  "${in_remote[@]}" -c core.autocrlf=false add --all --force
  "${in_remote[@]}" -c user.name='Bennu' -c user.email='bennu@example.org' \
    commit -q -m 'The example network'
  rm -f "$remote/index"
}

# There is a code for each entry node; one fills the screen.
show_first_code() {
  local style=utf8 first='2,${/^vless/,$d}' # up to the second link
  [[ -z $bold ]] || style=color
  printf '%s\n' "${bold}\$ bennu client-config --user anna phone --qr | sed '$first'${plain}"
  bennu client-config --user anna phone --qr --qr-style "$style" | sed "$first"
}

demo_network() {
  title 'a repository with the data of a network: cells, nodes, users, devices'
  network_remote
  run git -C "$remote" log --oneline
  setting BENNU_DATA "$work/data"
  setting BENNU_ACTOR 'Maria Keller <maria@example.org>'
  setting BENNU_IDENTITY examples/network-identity.txt

  title 'from Git into a strictly consistent store'
  run bennu restore "$remote"

  title 'a new user with a device, and what the device needs'
  run bennu user add --username anna --core-node 203.0.113.22
  run bennu device add --user anna --name phone
  run bennu client-config --user anna phone
  show_first_code

  title 'into Git: each change a commit with its author'
  run bennu export
  local id
  id=$(bennu user show anna -o json | json_field id)
  run bennu log "/net/users/$id" --changes
  run bennu diff HEAD~2 HEAD "/net/users/$id"

  destroy
  rise_again
  run bennu user show anna
}

# ---- any repository, raw ---------------------------------------------------------------------------

# Splits SOURCE@COMMIT; an @ that belongs to the address (git@host:path) stays.
split_source() {
  source=$1 commit=''
  if [[ ! -e $source && $source == *@* && ${source##*@} != *[/:]* ]]; then
    commit=${source##*@} source=${source%@*}
  fi
  if [[ -e $asked_from/$source ]]; then source=$asked_from/$source; fi
}

copy_source() {
  local log=$work/clone.log branch
  git clone -q --bare "$source" "$remote" 2>"$log" ||
    fail "cannot copy '$source': $(tail -n 1 "$log")"
  git -C "$remote" remote remove origin
  # A bundle may name no HEAD: then its first branch.
  branch=$(git -C "$remote" symbolic-ref HEAD)
  git -C "$remote" rev-parse -q --verify HEAD >/dev/null ||
    branch=$(git -C "$remote" for-each-ref --count=1 --format='%(refname)' refs/heads)
  [[ -n $branch ]] || fail "'$source' has no commit yet"
  git -C "$remote" symbolic-ref HEAD "$branch"
  if [[ -n $commit ]]; then
    commit=$(git -C "$remote" rev-parse -q --verify "$commit^{commit}") ||
      fail "'$source' has no commit '${1##*@}'"
    git -C "$remote" update-ref "$branch" "$commit"
  fi
}

demo_any() {
  local source commit
  split_source "$1"
  title "a copy of $source"
  copy_source "$1"
  run git -C "$remote" log --oneline -n 3
  setting BENNU_DATA "$work/data"
  setting BENNU_ACTOR 'Maria Keller <maria@example.org>'

  title 'from Git into a strictly consistent store, one key per file'
  run bennu restore "$remote"
  run bennu kv ls / --limit 5

  title 'a change, and its commit'
  run bennu kv put /bennu/hello.txt 'written to the store'
  run bennu export
  run bennu log /bennu/hello.txt
  run bennu diff HEAD~1 HEAD

  destroy
  rise_again
  run bennu kv get /bennu/hello.txt
}

main() {
  command -v bennu >/dev/null || fail 'build/release/bennu is missing: run ./dev build'
  fresh_folder
  if (($# == 0)); then demo_network; else demo_any "$1"; fi
  summary
}

main "$@"
