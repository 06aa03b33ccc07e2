#!/usr/bin/env bash
# Server-side apply: a manager that applies a list without an item of its own leaves of that item whatever
# an earlier manager still owns, though it had taken over the item's main field by force.
#
# Seen with sigs.k8s.io/structured-merge-diff/v6 v6.3.0, which kube-apiserver merges with. Manager "one"
# applies an item with fields node and seen; manager "two" applies the same item by force with another node
# and without seen; "two" applies an empty list. A good guess is that the item is gone, or at least that
# field seen went with its owner's node. What stands there is the item with seen and without node: a rest
# that a schema with node required does not allow, so a real API server answers 422 to the withdrawal.
#
# For Herald: a speaker withdraws its entry of a ServiceAnnouncement by replacing the list as it was read
# (speaker/src/publish.rs), not by applying without it.
#
# Needs Go 1.24 or later; fetches two modules into a folder of its own.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
export GOPATH="$work/go" GOFLAGS=-mod=mod
cat >go.mod <<'MOD'
module finding

go 1.24

require sigs.k8s.io/structured-merge-diff/v6 v6.3.0
MOD
cat >main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"log"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const schema = `types:
- name: status
  map:
    fields:
    - name: entries
      type:
        list:
          elementRelationship: associative
          keys: [address]
          elementType:
            namedType: entry
- name: entry
  map:
    fields:
    - name: address
      type: {scalar: string}
    - name: node
      type: {scalar: string}
    - name: seen
      type: {scalar: string}
`

type same struct{}

func (same) Convert(o *typed.TypedValue, _ fieldpath.APIVersion) (*typed.TypedValue, error) {
	return o, nil
}
func (same) IsMissingVersionError(error) bool { return false }

func main() {
	parser, err := typed.NewParser(schema)
	check(err)
	updater := (&merge.UpdaterBuilder{Converter: same{}}).BuildUpdater()
	live := parse(parser, "{}")
	managers := fieldpath.ManagedFields{}
	for _, step := range []struct{ manager, config string }{
		{"one", `{"entries": [{"address": "192.0.2.1", "node": "one", "seen": "yes"}]}`},
		{"two", `{"entries": [{"address": "192.0.2.1", "node": "two"}]}`},
		{"two", `{"entries": []}`},
	} {
		merged, after, err := updater.Apply(live, parse(parser, step.config), "v1", managers, step.manager, true)
		check(err)
		if merged != nil {
			live = merged
		}
		managers = after
		fmt.Printf("%s applies %s\n  -> %s\n", step.manager, step.config, text(live))
	}
}

func parse(parser *typed.Parser, yaml string) *typed.TypedValue {
	v, err := parser.Type("status").FromYAML(typed.YAMLObject(yaml))
	check(err)
	return v
}

func text(v *typed.TypedValue) string {
	object, err := json.Marshal(v.AsValue().Unstructured())
	check(err)
	return string(object)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
GO
seen=$(go run . 2>download.log) || { cat download.log; exit 1; }
printf '%s\n' "$seen"
expected='two applies {"entries": []}
  -> {"entries":[{"address":"192.0.2.1","seen":"yes"}]}'
if [ "$(printf '%s\n' "$seen" | tail -n 2)" = "$expected" ]; then
  echo "as described: the item stays without its node"
else
  echo "this has changed: the item is not what the header says" >&2
  exit 1
fi
