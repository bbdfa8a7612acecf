package migration

import (
	"errors"
	"testing"
)

func TestPlainText(t *testing.T) {
	refused := errors.New("127.0.0.1:1 (host):\n  connection refused")
	for want, err := range map[string]error{
		"no route": errors.New("  no\troute\n"),
		"a; b":     errors.Join(errors.New("a"), errors.New("b"), errors.New("a")),
		"127.0.0.1:1 (host):; connection refused": errors.Join(refused, refused),
	} {
		if got := plainText(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
