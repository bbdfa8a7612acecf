package migration

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"durable/ipc/task"
)

// formatPostgres is a table of a PostgreSQL database: the only format that is no file.
const formatPostgres format = "postgres"

// isPostgres reports whether a path is a PostgreSQL URL.
func isPostgres(path string) bool {
	scheme, _, ok := strings.Cut(path, "://")
	return ok && (strings.EqualFold(scheme, "postgres") || strings.EqualFold(scheme, "postgresql"))
}

// Times of a connection: how long one try may take, and how long a statement that is to keep a position goes on
// after its job was told to stop.
const (
	pgConnectTimeout = 5 * time.Second
	pgCheckTimeout   = 3 * time.Second
	pgGrace          = 5 * time.Second
	pgLockTimeout    = "30s"
)

// pgReadBuffer is how much is read from a server at once. pgconn's own 8 KiB are a system call for each hundred rows.
const pgReadBuffer = 64 << 10

// pgConn is one connection to a PostgreSQL server.
type pgConn struct {
	*pgconn.PgConn
	what  string // "source" or "destination", for messages
	place string // the URL without a password
}

// pgSession makes the server's texts independent of what server, database or user are set to.
const pgSession = `set client_encoding = 'UTF8'; set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set intervalstyle = 'iso_8601';
	set extra_float_digits = 3; set bytea_output = 'hex'; set standard_conforming_strings = on; set xmloption = content;
	set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set lock_timeout = '` + pgLockTimeout + `'`

// connectPostgres opens a connection. place has no password in it.
func connectPostgres(ctx context.Context, what, place, password string) (*pgConn, error) {
	cfg, err := pgconn.ParseConfig(place)
	if err != nil {
		return nil, errPostgresURL(what, err)
	}
	if password != "" {
		cfg.Password = password
	}
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout > pgConnectTimeout {
		cfg.ConnectTimeout = pgConnectTimeout
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "durable"
	}
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, pgReadBuffer), w)
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, pgError(err, what, place)
	}
	c := &pgConn{conn, what, place}
	if err := c.exec(ctx, pgSession); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func errPostgresURL(what string, err error) error {
	var parse *pgconn.ParseConfigError
	msg := "not a valid URL"
	if errors.As(err, &parse) && parse.Unwrap() != nil {
		var bad *url.Error
		if inner := parse.Unwrap(); !errors.As(inner, &bad) { // that one repeats the URL
			msg = inner.Error()
		}
	}
	return task.Errorf(task.InvalidArgument, "%s: the PostgreSQL URL: %s", what, msg).
		WithHint("it looks like postgres://user@host:5432/database?sslmode=require; special characters in it are %%-encoded")
}

// close ends the connection and waits until its goroutines are gone. What was not committed is undone.
func (c *pgConn) close() {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // nothing that counts is left to be said
	<-c.CleanupDone()
}

func (c *pgConn) fail(err error) error { return pgError(err, c.what, c.place) }

// exec runs statements without parameters.
func (c *pgConn) exec(ctx context.Context, sql string) error {
	return c.fail(c.Exec(ctx, sql).Close())
}

// run runs one statement and returns how many rows it changed.
func (c *pgConn) run(ctx context.Context, sql string, args ...string) (int64, error) {
	tag, err := c.ExecParams(ctx, sql, pgArgs(args), nil, nil, nil).Close()
	return tag.RowsAffected(), c.fail(err)
}

// rows returns all rows of a small result. NULL is an empty string.
func (c *pgConn) rows(ctx context.Context, sql string, args ...string) ([][]string, error) {
	res := c.ExecParams(ctx, sql, pgArgs(args), nil, nil, nil).Read()
	rows := make([][]string, len(res.Rows))
	for i, r := range res.Rows {
		for _, v := range r {
			rows[i] = append(rows[i], string(v))
		}
	}
	return rows, c.fail(res.Err)
}

// one returns the first row; nil if there is none.
func (c *pgConn) one(ctx context.Context, sql string, args ...string) ([]string, error) {
	rows, err := c.rows(ctx, sql, args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

func pgArgs(args []string) [][]byte {
	list := make([][]byte, len(args))
	for i, a := range args {
		list[i] = []byte(a)
	}
	return list
}

// graceful returns a context for what is to be finished although ctx is done, within bounds: a server that does
// not answer must not hold an attempt.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var timer *time.Timer
	stop := context.AfterFunc(ctx, func() {
		timer = time.AfterFunc(pgGrace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(inner, func() { timer.Stop() })
	})
	return inner, func() { stop(); cancel(context.Canceled) }
}
