// Melon is a local SMTP relay proxy for laptops. See `melon help`.
package main

import (
	"context"
	"os"
)

func main() {
	c := &cli{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	os.Exit(c.execute(context.Background(), asNamed(os.Args)))
}
