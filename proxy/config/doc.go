// Package config turns the YAML file into a checked Config, watches nothing by
// itself, and changes the file without disturbing what a person wrote in it.
//
//  1. Load reads the file: size, encoding and who may write it (load.go).
//  2. Parse walks the YAML nodes against the schema (decode.go, sections.go,
//     account.go, network.go). Defaults are laid down first, the file over them.
//  3. What single values cannot tell is checked across settings (cross.go).
//  4. Every fault is one Problem with line and column and a sentence that says
//     what to write instead; all of them are returned, in the order of the file.
//  5. Secrets are never read here. SecretProblems looks whether files and
//     environment variables that should hold them are there and private; such a
//     fault concerns one account and does not stop the others.
//  6. Holder keeps the Config in use; a reload that fails keeps the old one.
//  7. AddAccount, SetAccount, RemoveAccount and SetDefault change the file by
//     replacing single pieces of its text, verify that the result says what was
//     meant and loads, and only then put it in place of the old (edit.go).
package config
