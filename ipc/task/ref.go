package task

import (
	"strconv"
	"strings"
)

// ID is a task's UUIDv7 in its usual form, lower case.
type ID string

// Ref is how a caller names a task: a number ("42"), a UUID, a beginning or an ending of one that is
// unique, or "@last" for the one submitted last. The service resolves it.
type Ref string

// RefLast names the task that was submitted last.
const RefLast Ref = "@last"

// MinRef is the least number of characters of a UUID's beginning or ending.
const MinRef = 4

// RefKind is the form of a [Ref].
type RefKind int

const (
	RefInvalid RefKind = iota
	RefNumber
	RefID
	RefPart
	RefNewest
)

// Parse tells the forms apart. A number is always taken as a task number, so an ending that
// has only digits needs a character more. The error is an [InvalidArgument].
func (r Ref) Parse() (RefKind, error) {
	s := strings.ToLower(string(r))
	switch {
	case s == string(RefLast):
		return RefNewest, nil
	case isNumber(s):
		return RefNumber, nil
	case len(s) == 36 && isHexDash(s):
		return RefID, nil
	case len(s) >= MinRef && len(s) < 36 && isHexDash(s):
		return RefPart, nil
	}
	return RefInvalid, Errorf(InvalidArgument, "task %.60q: want a number, an ID or %d and more characters of one, or %s", string(r), MinRef, RefLast)
}

// Number returns the task number of a Ref of [RefNumber].
func (r Ref) Number() uint64 {
	n, _ := strconv.ParseUint(string(r), 10, 64)
	return n
}

// isNumber: up to eleven digits without a leading zero. The last group of a UUID has twelve characters,
// so one that happens to be all digits still names its task.
func isNumber(s string) bool {
	if len(s) == 0 || len(s) > 11 || s[0] == '0' {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isHexDash(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '-' {
			return false
		}
	}
	return true
}

// Ref names the task by its ID.
func (id ID) Ref() Ref { return Ref(id) }
