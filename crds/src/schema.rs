//! Schema pieces that several kinds share, each with the bounds that keep CEL affordable.
//!
//! Not here: the kinds. The API server estimates the cost of a CEL rule from `maxItems`,
//! `maxProperties` and `maxLength`, so a list or string without a bound gets the CRD refused.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Longest text form of one entry of a pool: two IPv6 addresses, a dash and spaces.
pub(crate) const ADDRESS_ENTRY_MAX: u32 = 96;
const NAME_MAX: u32 = 253;
const LABEL_VALUE_MAX: u32 = 63;
const LABEL_KEY_MAX: u32 = 317;

fn schema(value: Value) -> Schema {
    let mut schema = Schema::default();
    if let Value::Object(map) = value {
        *schema.ensure_object() = map;
    }
    schema
}

fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

/// A set of object names, at most 256.
pub(crate) fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": NAME_MAX},
    })
}

/// A set of interface names or globs of them (`*`, `?`), at most 64.
pub(crate) fn interfaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 32,
            "x-kubernetes-validations": [
                rule(r"self.matches(r'^[^\s/]+$')", "write an interface's name (eth0) or a pattern (bond*)"),
            ],
        },
    })
}

/// A list of address entries: CIDR, `first-last` or one address.
pub(crate) fn addresses(_: &mut SchemaGenerator) -> Schema {
    schema(address_list(1))
}

/// As [`addresses`], for a pool: none that starts or ends with an address that no host can have, and no
/// network of such addresses. `isGlobalUnicast` is about the kind of the address: it holds for private ones.
pub(crate) fn pool_addresses(_: &mut SchemaGenerator) -> Schema {
    let mut list = address_list(1);
    let message = "no Service can have such an address: it is unspecified, loopback, link-local, multicast or \
                   the limited broadcast";
    let never = [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    ];
    let rules = [
        rule(
            // By index: the cost of a rule for all parts is reckoned for as many as there are characters.
            "isCIDR(self) || [0, 1].all(end, self.split('-').size() <= end || !isIP(self.split('-')[end].trim()) || \
             (ip(self.split('-')[end].trim()).isGlobalUnicast() && !self.split('-')[end].trim().startsWith('0.')))",
            message,
        ),
        rule(
            &format!(
                "!isCIDR(self) || !['{}'].exists(never, cidr(never).containsCIDR(self))",
                never.join("', '")
            ),
            message,
        ),
    ];
    if let Some(all) = list["items"]["x-kubernetes-validations"].as_array_mut() {
        all.extend(rules);
    }
    schema(list)
}

/// As [`addresses`], and may be empty.
pub(crate) fn excluded_addresses(_: &mut SchemaGenerator) -> Schema {
    schema(address_list(0))
}

fn address_list(min_items: u32) -> Value {
    let mut list = json!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "string",
            "minLength": 2,
            "maxLength": ADDRESS_ENTRY_MAX,
            "x-kubernetes-validations": [
                rule(
                    "self.contains('-') || isIP(self) || isCIDR(self)",
                    "write a network (192.0.2.0/24), a range (192.0.2.10-192.0.2.20) or one address (192.0.2.10)",
                ),
                rule(
                    "!self.contains('-') || (self.split('-').size() == 2 && self.split('-').all(side, isIP(side.trim())))",
                    "write a range as first-last with an IP address on both sides, for example 192.0.2.10-192.0.2.20",
                ),
                rule(
                    "!self.contains('-') || !self.contains(':') || self.split('-').all(side, side.contains(':'))",
                    "a range has one family: write one range for IPv4 and one for IPv6",
                ),
                {
                    "rule": "!isCIDR(self) || cidr(self) == cidr(self).masked()",
                    "message": "a network must not have host bits set",
                    "messageExpression": "'%s has host bits set; write %s for the whole network'.format([self, string(cidr(self).masked())])",
                },
            ],
        },
    });
    if min_items > 0 {
        list["minItems"] = json!(min_items);
    }
    list
}

/// A list of ports and ranges of ports, each with or without a protocol.
pub(crate) fn ports(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 16,
            "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?(/(TCP|UDP|SCTP))?$",
            "x-kubernetes-validations": [
                rule(
                    "self.split('/')[0].split('-').all(port, int(port) >= 1 && int(port) <= 65535)",
                    "a port is between 1 and 65535",
                ),
                rule(
                    "!self.contains('-') || int(self.split('/')[0].split('-')[0]) <= int(self.split('/')[0].split('-')[1])",
                    "a range must not start after it ends",
                ),
            ],
        },
    }))
}

/// One IP address of either family.
pub(crate) fn ip_address(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "string",
        "minLength": 2,
        "maxLength": 45,
        "x-kubernetes-validations": [
            rule("isIP(self)", "write one IP address, for example 192.0.2.1 or 2001:db8::1"),
        ],
    }))
}

/// The address of a router: of either family, and a link-local one with the interface it is on.
pub(crate) fn router_address(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "string",
        "minLength": 2,
        "maxLength": 61,
        "x-kubernetes-validations": [
            rule(
                r"isIP(self) || (self.matches(r'^[fF][eE][89abAB][0-9a-fA-F]:[^%]*%[^\s/:%]{1,15}$') && isIP(self.split('%')[0]))",
                "write one IP address, for example 192.0.2.1 or 2001:db8::1; a link-local one with its interface, as fe80::1%eth0",
            ),
        ],
    }))
}

/// One IPv4 address.
pub(crate) fn ipv4_address(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "string",
        "minLength": 7,
        "maxLength": 15,
        "x-kubernetes-validations": [
            rule(
                "isIP(self) && ip(self).family() == 4",
                "write an IPv4 address, for example 192.0.2.1",
            ),
        ],
    }))
}

/// A Go duration such as `90s`, `1m30s` or `250ms`.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    schema(duration_with(&[]))
}

/// RFC 4271 §4.2: a hold time is 0 or at least 3 s, and fits 16 bits of seconds.
pub(crate) fn hold_time(_: &mut SchemaGenerator) -> Schema {
    schema(duration_with(&[rule(
        "duration(self) == duration('0s') || (duration(self) >= duration('3s') && duration(self) <= duration('65535s'))",
        "must be 0s (no hold timer) or between 3s and 65535s",
    )]))
}

/// From 1 s to 65535 s.
pub(crate) fn connect_time(_: &mut SchemaGenerator) -> Schema {
    schema(duration_with(&[rule(
        "duration(self) >= duration('1s') && duration(self) <= duration('65535s')",
        "must be between 1s and 65535s",
    )]))
}

fn duration_with(rules: &[Value]) -> Value {
    let mut duration = json!({
        "type": "string",
        "minLength": 2,
        "maxLength": 32,
        "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$",
    });
    if !rules.is_empty() {
        duration["x-kubernetes-validations"] = json!(rules);
    }
    duration
}

/// A list of label selectors, of which one must match.
pub(crate) fn selectors(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": selector_value(),
    }))
}

/// One label selector; the empty one matches everything.
pub(crate) fn selector(_: &mut SchemaGenerator) -> Schema {
    schema(selector_value())
}

fn selector_value() -> Value {
    json!({
        "type": "object",
        "description": "A label selector; matchLabels and matchExpressions must all hold, and an empty selector matches everything.",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be present with exactly these values.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": LABEL_VALUE_MAX},
            },
            "matchExpressions": {
                "description": "Requirements on labels; all must hold.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One requirement on one label.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label's key.",
                            "type": "string", "minLength": 1, "maxLength": LABEL_KEY_MAX,
                        },
                        "operator": {
                            "description": "In and NotIn compare with values; Exists and DoesNotExist look at the key alone.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values for In and NotIn; empty for Exists and DoesNotExist.",
                            "type": "array", "maxItems": 64,
                            "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": LABEL_VALUE_MAX},
                        },
                    },
                    "x-kubernetes-validations": [rule(
                        "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
                        "In and NotIn need values; Exists and DoesNotExist take none",
                    )],
                },
            },
        },
    })
}

/// A list of `metav1.Condition`, one per type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One condition.",
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "description": "What the condition is about, in CamelCase.",
                    "type": "string", "minLength": 1, "maxLength": 316,
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string", "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "description": "The metadata.generation the condition was computed from.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
                "lastTransitionTime": {
                    "description": "When status last changed.",
                    "type": "string", "format": "date-time",
                },
                "reason": {
                    "description": "One CamelCase word for programs.",
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "description": "One sentence for people.",
                    "type": "string", "maxLength": 32768,
                },
            },
        },
    })
}

/// At most 64 strings of 128 characters, as reported in status.
pub(crate) fn reported_strings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "string", "maxLength": 128},
    })
}
