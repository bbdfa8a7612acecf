//go:build unix

package migration

import (
	"errors"
	"syscall"
)

// isFull reports whether a write failed for want of space or quota.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
