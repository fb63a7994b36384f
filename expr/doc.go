// Package expr is the language of rules, filters and validations: a subset of CEL,
// checked against the app's types and turned into a small typed tree, the IR.
//
// The IR is what everything else works on: Eval runs it in Go, the engines turn it into
// SQL or pipelines, and all of them must agree. It is two-valued: every boolean is true or
// false, never unknown (docs/rules.md).
//
// Order to read in: value.go (values), ir.go (the tree), scope.go (what evaluating may know),
// shape.go (the tokens of a filter, with literals lifted), compile.go (CEL to IR, types),
// eval.go (its meaning), bind.go (literals and parameters become arguments), slots.go (what is
// known of the caller is put in before an engine sees it).
package expr
