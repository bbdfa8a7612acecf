//go:build !linux

package cgroup

import (
	"errors"
	"os"
	"time"
)

// Delegated: there are no control groups here.
func Delegated() string { return "" }

// Make makes nothing.
func Make(string, string) (Group, error) { return Group{}, errors.ErrUnsupported }

// Find finds nothing.
func Find(string, string) (Group, bool) { return Group{}, false }

// Open opens nothing.
func Open(Group) (*os.File, error) { return nil, errors.ErrUnsupported }

// PIDs lists nothing.
func PIDs(Group) []int { return nil }

// Populated is false.
func Populated(Group) bool { return false }

// Kill kills nothing.
func Kill(Group) error { return errors.ErrUnsupported }

// Remove has nothing to remove.
func Remove(Group, time.Duration) error { return nil }

// Sweep has nothing to remove.
func Sweep(string, string) {}
