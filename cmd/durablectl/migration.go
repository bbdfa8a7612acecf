package main

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"durable/ipc/task"
)

// migrationFlags are the parameters of a data_migration that are not its two places: the flag's name
// and the parameter's.
var migrationFlags = map[string]string{
	"records":           "record_count",
	"batch-size":        "batch_size",
	"mode":              "mode",
	"table":             "table",
	"source-table":      "source_table",
	"destination-table": "destination_table",
	"query":             "query",
	"key":               "key",
	// A password on a command line can be seen by everybody on the machine: env:NAME and file:PATH cannot.
	"source-password":      "source_password",
	"destination-password": "destination_password",
	"columns":              "columns",
	"rate-limit":           "rate_limit",
	"dry-run":              "dry_run",
	"on-error":             "on_error",
	"source-format":        "source_format",
	"destination-format":   "destination_format",
}

func newStartMigration(c *cli) *cobra.Command {
	var sub submission
	cmd := &cobra.Command{
		Use:     "migration SOURCE DESTINATION",
		Aliases: []string{"data_migration"},
		Short:   "Move records between files and databases",
		Long: `Move records between files and databases: CSV, TSV, JSON Lines (also compressed: .gz, .zst), Parquet, SQLite
and PostgreSQL, each to each. A place in PostgreSQL is postgres://USER@HOST/DATABASE; --source-password and
--destination-password take env:NAME or file:PATH (of the daemon), or the password itself, which is kept apart
and never shown. The format follows from the file's name, else from its content. Every record arrives exactly once,
whatever happens meanwhile; at the end the destination is read again and compared.
A SOURCE with *, ? or [ in it, in quotes, is all files that match; --table '*' is all tables, into a database or a folder.`,
		Example: `  durablectl start migration orders.csv app.db --table orders
  durablectl start migration app.db orders.jsonl --table orders --columns id,total --watch
  durablectl start migration 'orders-*.csv' app.db
  durablectl start migration app.db backup/ --table '*' --destination-format parquet`,
		Args: exactly("SOURCE", "DESTINATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return do(func(ctx context.Context, args []string) error {
				params, err := migrationParams(cmd.Flags(), args[0], args[1])
				if err != nil {
					return err
				}
				return c.inFlags(c.start(ctx, "data_migration", params, sub), migrationFlags)
			})(cmd, args)
		},
	}
	declareMigration(cmd)
	sub.flags(cmd)
	return cmd
}

// parameter finds a parameter in a hint, with a value or without. Those that are plain words (table, mode)
// are one only with a value.
var parameter = regexp.MustCompile(`\b([a-z]+_[a-z]+|mode)\b(=[a-z]+)?`)

// inFlags is err with a hint in the words of a command whose flags have names: the API's mode=append is --mode append here.
// With --json the API's own words stay.
func (c *cli) inFlags(err error, names map[string]string) error {
	var known *task.Error
	if c.json || !errors.As(err, &known) {
		return err
	}
	flags := make(map[string]string, len(names))
	for flag, param := range names {
		flags[param] = "--" + flag
	}
	told := *known
	told.Hint = parameter.ReplaceAllStringFunc(known.Hint, func(found string) string {
		name, value, valued := strings.Cut(found, "=")
		flag, ok := flags[name]
		switch {
		case ok && valued:
			return flag + " " + value
		case ok && strings.Contains(name, "_"):
			return flag
		}
		return found
	})
	return &told
}

// declareMigration declares the flags of migrationFlags.
func declareMigration(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64("records", 0, "move `N` records at most (default: all)")
	f.Int("batch-size", 0, "make `N` records durable at a time (default: by time, which is faster)")
	f.String("mode", "", "create: refuse a destination that exists (default); replace it; append to it; or upsert by --key")
	f.String("table", "", "table of a database, on either side; '*' is all of them")
	f.String("source-table", "", "table to read, where both sides are databases")
	f.String("destination-table", "", "table to write, where both sides are databases")
	f.String("query", "", "`SELECT` to read from a database, instead of a table")
	f.String("key", "", "columns that tell records apart, such as `a,b`: for --mode upsert, and for a --query to go on by")
	f.String("source-password", "", "password of a database: env:`NAME`, file:PATH, or itself")
	f.String("destination-password", "", "password of a database: env:`NAME`, file:PATH, or itself")
	f.StringSlice("columns", nil, "only these columns, in this order, such as `a,b`; c=b calls the column b c")
	f.Float64("rate-limit", 0, "copy at most `N` records a second")
	f.Bool("dry-run", false, "write nothing: tell counts, columns, types and the CREATE TABLE")
	f.String("on-error", "", "a malformed record: fail (default), skip and count it, or keep it in a file")
	f.String("source-format", "", "format of the source: csv, tsv, jsonl, parquet, sqlite")
	f.String("destination-format", "", "format of the destination, or of the files in a folder")
	offer(cmd, "mode", "create", "replace", "append", "upsert")
	offer(cmd, "on-error", "fail", "skip", "file")
	offer(cmd, "source-format", "csv", "tsv", "jsonl", "parquet", "sqlite")
	offer(cmd, "destination-format", "csv", "tsv", "jsonl", "parquet", "sqlite")
}

// migrationParams returns the parameters that were given; the rest is the kind's to decide.
func migrationParams(flags *pflag.FlagSet, from, to string) (map[string]any, error) {
	src, err := source("SOURCE", from)
	if err != nil {
		return nil, err
	}
	dst, err := source("DESTINATION", to)
	if err != nil {
		return nil, err
	}
	params := map[string]any{"source_path": src, "destination_path": dst}
	for flag, param := range migrationFlags {
		f := flags.Lookup(flag)
		if !f.Changed {
			continue
		}
		params[param], err = value(flags, f)
		if err != nil {
			return nil, err
		}
	}
	return params, nil
}

func value(flags *pflag.FlagSet, f *pflag.Flag) (any, error) {
	switch f.Value.Type() {
	case "int64":
		return flags.GetInt64(f.Name)
	case "int":
		return flags.GetInt(f.Name)
	case "bool":
		return flags.GetBool(f.Name)
	case "float64":
		return flags.GetFloat64(f.Name)
	case "duration":
		return f.Value.String(), nil
	case "stringSlice":
		return flags.GetStringSlice(f.Name)
	}
	return flags.GetString(f.Name)
}
