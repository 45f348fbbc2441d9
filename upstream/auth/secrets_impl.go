package auth

import (
	"context"

	"melon/upstream"
)

type keyringCalls struct{}

func (s *Secrets) get(ctx context.Context, ref upstream.SecretRef) (string, error) {
	return "", ErrMissing
}
func (s *Secrets) set(ctx context.Context, ref upstream.SecretRef, secret string) error {
	return ErrReadOnly
}
func (s *Secrets) delete(ctx context.Context, ref upstream.SecretRef) error { return ErrReadOnly }
func (s *Secrets) check(ref upstream.SecretRef) error                       { return ErrMissing }
