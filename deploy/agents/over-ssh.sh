#!/bin/sh
# Agents of the test set on plain hosts, over ssh: a host is an agent, in the order given.
#
#   sennit test run load.xlsx --agents 2 --coordinator 10.0.0.5:7700 --token T --mesh mesh      # on a machine that the hosts reach
#   COORDINATOR=http://10.0.0.5:7700 TOKEN=T sh deploy/agents/over-ssh.sh eu.example us.example
# For TLS: --coordinator https://…, and the URL that the coordinator prints then (https://10.0.0.5:7700#sha256=…), in quotes.
#
# SENNIT is the program on the hosts (default: sennit), SSH the command that dials (default: ssh). Ends when all agents have; its exit code is 0
# when every agent did its share. Interrupted, it ends the dials, and the agents end when the coordinator does.
if [ -z "$COORDINATOR" ] || [ -z "$TOKEN" ] || [ $# -eq 0 ]; then
  echo 'usage: COORDINATOR=http://HOST:PORT TOKEN=… over-ssh.sh HOST…' >&2
  exit 2
fi
rank=0
dials=''
for host; do
  # The token goes through standard input: command lines can be read by everybody on a host.
  printf '%s\n' "$TOKEN" |
    ${SSH:-ssh} -o BatchMode=yes "$host" "read -r TOKEN; export TOKEN; exec ${SENNIT:-sennit} test agent --coordinator '$COORDINATOR' --rank $rank --size $#" &
  dials="$dials $!"
  rank=$((rank + 1))
done
trap 'kill $dials 2>/dev/null; exit 130' INT TERM
code=0
for dial in $dials; do
  wait "$dial" || code=$?
done
exit "$code"
