package task

import (
	"errors"
	"fmt"
)

// Code is the class of a failure: a closed set, the same in every process and on the wire. A Code is
// itself an error, so that errors.Is(err, task.NotFound) holds for any error of that class, also for
// one that came over the socket.
type Code string

const (
	// InvalidArgument: the request can never succeed as it stands.
	InvalidArgument Code = "invalid_argument"
	// NotFound: no such task, kind, log or artifact.
	NotFound Code = "not_found"
	// Conflict: the idempotency key was used for another request.
	Conflict Code = "conflict"
	// FailedPrecondition: not in the present state (of the task, of a file, of the daemon).
	FailedPrecondition Code = "failed_precondition"
	// OutOfRange: a cursor or an offset that is no longer there, or not yet.
	OutOfRange Code = "out_of_range"
	// Unauthenticated: it is not known who asks.
	Unauthenticated Code = "unauthenticated"
	// PermissionDenied: who asks may not.
	PermissionDenied Code = "permission_denied"
	// ResourceExhausted: the disk, the queue or another limit is full.
	ResourceExhausted Code = "resource_exhausted"
	// Unavailable: the daemon cannot be reached or cannot answer now.
	Unavailable Code = "unavailable"
	// Unimplemented: this service does not have that capability.
	Unimplemented Code = "unimplemented"
	// VersionSkew: the two sides are too far apart to work together.
	VersionSkew Code = "version_skew"
	// Internal: a defect of ours.
	Internal Code = "internal"
)

// Error makes a Code usable as a target of errors.Is.
func (c Code) Error() string { return string(c) }

// Codes lists every code.
var Codes = []Code{
	InvalidArgument, NotFound, Conflict, FailedPrecondition, OutOfRange, Unauthenticated,
	PermissionDenied, ResourceExhausted, Unavailable, Unimplemented, VersionSkew, Internal,
}

// The three tables below are total over [Codes]; a test holds them to it.

// httpStatus: RFC 9110 status codes.
var httpStatus = map[Code]int{
	InvalidArgument:    400,
	NotFound:           404,
	Conflict:           409,
	FailedPrecondition: 412,
	OutOfRange:         416,
	Unauthenticated:    401,
	PermissionDenied:   403,
	ResourceExhausted:  507,
	Unavailable:        503,
	Unimplemented:      501,
	VersionSkew:        426,
	Internal:           500,
}

// mcpCode: JSON-RPC 2.0 error codes, and those that MCP adds (-32002: resource not found).
var mcpCode = map[Code]int64{
	InvalidArgument:    -32602,
	NotFound:           -32002,
	Conflict:           -32602,
	FailedPrecondition: -32602,
	OutOfRange:         -32602,
	Unauthenticated:    -32603,
	PermissionDenied:   -32603,
	ResourceExhausted:  -32603,
	Unavailable:        -32603,
	Unimplemented:      -32601,
	VersionSkew:        -32603,
	Internal:           -32603,
}

// exitStatus: the exit status of durablectl.
var exitStatus = map[Code]int{
	InvalidArgument:    2,
	NotFound:           3,
	Conflict:           5,
	FailedPrecondition: 5,
	OutOfRange:         1,
	Unauthenticated:    5,
	PermissionDenied:   5,
	ResourceExhausted:  5,
	Unavailable:        4,
	Unimplemented:      1,
	VersionSkew:        4,
	Internal:           1,
}

// HTTPStatus returns the HTTP status that carries c; 500 for a code that is not in [Codes].
func (c Code) HTTPStatus() int {
	if s, ok := httpStatus[c]; ok {
		return s
	}
	return 500
}

// MCP returns the JSON-RPC error code for c; -32603 (internal error) for a code that is not in [Codes].
func (c Code) MCP() int64 {
	if n, ok := mcpCode[c]; ok {
		return n
	}
	return -32603
}

// ExitStatus returns durablectl's exit status for c; 1 for a code that is not in [Codes].
func (c Code) ExitStatus() int {
	if n, ok := exitStatus[c]; ok {
		return n
	}
	return 1
}

// Error is a failure as a caller sees it. Message says what happened and to what, Hint what to do
// next. It is JSON inside the envelope {"error": ...}; Err stays in the process.
type Error struct {
	Code    Code           `json:"code"`
	Message string         `json:"message"`
	Hint    string         `json:"hint,omitempty"`
	Details map[string]any `json:"details,omitempty"`
	Err     error          `json:"-"`
}

// Errorf returns an Error with a formatted message; %w keeps the wrapped error reachable.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if _, several := err.(interface{ Unwrap() []error }); several {
		cause = err
	}
	return &Error{Code: code, Message: err.Error(), Err: cause}
}

// WithHint returns e with the hint set: what the person who reads it can do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithDetail returns e with one machine-readable detail added.
func (e *Error) WithDetail(key string, value any) *Error {
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	e.Details[key] = value
	return e
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is e's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// AsError returns err as an *Error: itself if it is (or wraps) one, with the wrapping text kept in the
// message; otherwise an [Internal] one. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		if e.Message == err.Error() {
			return e
		}
		return &Error{Code: e.Code, Message: err.Error(), Hint: e.Hint, Details: e.Details, Err: err}
	}
	var code Code
	if errors.As(err, &code) {
		return &Error{Code: code, Message: err.Error(), Err: err}
	}
	return &Error{Code: Internal, Message: err.Error(), Err: err}
}

// DetailOutcome is the key in [Error.Details] whose value "unknown" says that the request may or may
// not have taken effect: a commit failed in a way that only reopening the store can settle. The same
// request under the same idempotency key is safe.
const DetailOutcome = "outcome"

// OutcomeUnknown returns the error of a request that may or may not have taken effect.
func OutcomeUnknown(err error) *Error {
	return (&Error{Code: Unavailable, Message: "outcome unknown: " + err.Error(), Err: err}).
		WithDetail(DetailOutcome, "unknown").
		WithHint("the daemon restarts to find out; ask again under the same idempotency key")
}
