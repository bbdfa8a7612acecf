package migration

import (
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"durable/ipc/task"
)

// lostError is the loss of a server, or one that does not take us just now: the attempt may try again, and what
// became of a commit that was under way is read from the position, never guessed.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

func isLost(err error) bool {
	var e lostError
	return errors.As(err, &e)
}

// pgError says what a PostgreSQL error means, and what to do about it.
func pgError(err error, what, place string) error {
	var known *task.Error
	var refused *pgconn.PgError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &refused):
		return serverError(refused, what, place)
	}
	text := plainText(err)
	if strings.Contains(text, "TLS") || strings.Contains(text, "tls:") || strings.Contains(text, "x509") {
		return task.Errorf(task.FailedPrecondition, "%s %s: no encrypted connection: %s", what, place, text).
			WithHint("sslmode in the URL decides: disable, prefer, require, verify-ca, verify-full (with sslrootcert=FILE)")
	}
	return lostError{task.Errorf(task.Unavailable, "%s %s: the server does not answer: %w", what, place, textError{text, err}).
		WithHint("is PostgreSQL running there, and reachable from the machine on which the daemon runs? pg_isready -h HOST -p PORT tells")}
}

// textError is an error with another text.
type textError struct {
	text string
	err  error
}

func (e textError) Error() string { return e.text }
func (e textError) Unwrap() error { return e.err }

// plainText is the text of a connection's error in one line, without what the message says already. What befell each of several tries (each
// address, with TLS and without) is said once.
func plainText(err error) string {
	var failed *pgconn.ConnectError
	if errors.As(err, &failed) {
		err = failed.Unwrap()
	}
	var tries []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !slices.Contains(tries, line) {
			tries = append(tries, line)
		}
	}
	return strings.Join(tries, "; ")
}

// serverError is an error that the server has sent.
func serverError(e *pgconn.PgError, what, place string) error {
	class := e.Code[:min(2, len(e.Code))]
	say := func(code task.Code, hint string) error {
		text := e.Message
		if e.Detail != "" && class != "28" {
			text += " (" + e.Detail + ")"
		}
		return task.Errorf(code, "%s %s: %w", what, place, textError{text, e}).WithHint("%s", hint)
	}
	switch e.Code {
	case "57P01", "57P02", "57P03", "57P05", "53300", "40001", "40P01", "55P03", "57014":
		return lostError{say(task.Unavailable, "it may pass: retry the task, which goes on where it stopped")}
	case "28P01":
		return say(task.PermissionDenied, "the password is wrong, or none was given: source_password or destination_password take it, "+
			"also as env:NAME or file:PATH (of the daemon); ~/.pgpass works too")
	case "28000":
		return say(task.PermissionDenied, "the server's pg_hba.conf does not let this user in from here, or only with another sslmode")
	case "3D000":
		return say(task.FailedPrecondition, "psql -l lists the databases; the name is what follows the host in the URL")
	case "42501":
		return say(task.PermissionDenied, "the database user needs the right: GRANT SELECT (source), or INSERT, UPDATE, DELETE and CREATE ON SCHEMA (destination)")
	case "53100":
		return say(task.ResourceExhausted, "free some space on the database server, then retry the task: it goes on where it stopped")
	case "25006":
		return say(task.InvalidArgument, "a source is only read: query must be a SELECT; or the server is a standby, which cannot be written to")
	}
	switch class {
	case "08":
		return lostError{say(task.Unavailable, "it may pass: retry the task, which goes on where it stopped")}
	case "42", "0A":
		return say(task.InvalidArgument, "check table, query, columns and key")
	case "23", "22":
		return say(task.FailedPrecondition, "a rule of the database forbids it: mend the records, or the rule")
	}
	return say(task.Internal, "the server's log says more")
}

// refusedRecord reports whether the server refused what a record holds: a value it cannot take, or a constraint.
func refusedRecord(err error) (*rowError, bool) {
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) != 5 {
		return nil, false
	}
	// 54000: a row that is too long; P0001: a trigger's RAISE.
	if class := e.Code[:2]; class != "22" && class != "23" && class != "54" && e.Code != "P0001" {
		return nil, false
	}
	text := e.Message
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	return rowErrorf("refused by the table: %s", text), true
}

// undefinedTable reports whether a table was not there any more.
func undefinedTable(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "42P01"
}
