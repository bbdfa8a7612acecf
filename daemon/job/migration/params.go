package migration

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"durable/daemon/job"
	"durable/ipc/task"
)

// Limits of the parameters; each has an error of its own.
const (
	MaxRecordCount   = 1e12
	MaxBatchSize     = 100_000
	defaultBatchSize = 1000
)

// params are the parameters of one migration, as callers give them and as Prepare leaves them: paths
// absolute, formats, tables and defaults filled in.
type params struct {
	Source            string   `json:"source_path"`
	Destination       string   `json:"destination_path"`
	RecordCount       *int64   `json:"record_count,omitempty"`
	BatchSize         *int     `json:"batch_size,omitempty"`
	Mode              mode     `json:"mode,omitempty"`
	Table             string   `json:"table,omitempty"`
	Tables            []string `json:"tables,omitempty"` // of table=*: those that Prepare found
	SourceTable       string   `json:"source_table,omitempty"`
	DestinationTable  string   `json:"destination_table,omitempty"`
	Columns           []string `json:"columns,omitempty"`
	Query             string   `json:"query,omitempty"`
	Key               string   `json:"key,omitempty"`
	OnError           onError  `json:"on_error,omitempty"`
	RateLimit         *float64 `json:"rate_limit,omitempty"`
	DryRun            bool     `json:"dry_run,omitempty"`
	SourceFormat      format   `json:"source_format,omitempty"`
	DestinationFormat format   `json:"destination_format,omitempty"`

	SourcePassword      string `json:"source_password,omitempty"`
	DestinationPassword string `json:"destination_password,omitempty"`
	secret              passwords
}

type mode string

const (
	modeCreate  mode = "create"
	modeReplace mode = "replace"
	modeAppend  mode = "append"
	modeUpsert  mode = "upsert"
)

type onError string

const (
	onErrorFail onError = "fail"
	onErrorSkip onError = "skip"
)

// decodeParams reads the parameters; an unknown one is refused by name.
func decodeParams(raw json.RawMessage) (params, error) {
	var p params
	err := job.Decode(raw, &p, "data_migration takes source_path, destination_path, record_count, mode, table, source_table, "+
		"destination_table, query, key, columns, rate_limit, dry_run, on_error, batch_size, source_format, "+
		"destination_format, source_password and destination_password")
	return p, err
}

// effects are what a policy has a say in: a destination that is there is changed, or may be by the time the
// migration comes to it. With mode=create, nothing that exists is touched.
func (p *params) effects() []task.Effect {
	if p.Mode == modeCreate || p.DryRun {
		return nil
	}
	if p.all() {
		return p.allEffects()
	}
	path := p.Destination
	if isPostgres(path) {
		path += " table " + p.DestinationTable // a yes to one table is none to the others
	}
	return []task.Effect{{Act: task.ActOverwrite, Path: path}}
}

// normalize checks what can be checked without looking at the disk, and fills in the defaults.
func (p *params) normalize() error {
	if p.RecordCount != nil && (*p.RecordCount < 1 || *p.RecordCount > MaxRecordCount) {
		return task.Errorf(task.InvalidArgument, "record_count: %d, want 1 to %.0f", *p.RecordCount, float64(MaxRecordCount)).
			WithHint("leave record_count out to migrate all records")
	}
	if p.BatchSize != nil && (*p.BatchSize < 1 || *p.BatchSize > MaxBatchSize) {
		return task.Errorf(task.InvalidArgument, "batch_size: %d, want 1 to %d", *p.BatchSize, MaxBatchSize)
	}
	switch p.Mode {
	case "":
		p.Mode = modeCreate
	case modeCreate, modeReplace, modeAppend, modeUpsert:
	default:
		return task.Errorf(task.InvalidArgument, "mode: %q, want create, replace, append or upsert", string(p.Mode))
	}
	switch p.OnError {
	case "":
		p.OnError = onErrorFail
	case onErrorFail, onErrorSkip, onErrorFile:
	default:
		return task.Errorf(task.InvalidArgument, "on_error: %q, want fail, skip or file", string(p.OnError))
	}
	if err := p.hidePasswords(); err != nil {
		return err
	}
	if err := p.checkKey(); err != nil {
		return err
	}
	return p.normalizePaths()
}

func (p *params) normalizePaths() error {
	var err error
	if p.Source, err = absolute("source_path", p.Source); err != nil {
		return err
	}
	if p.Destination, err = absolute("destination_path", p.Destination); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		f    format
	}{{"source_format", p.SourceFormat}, {"destination_format", p.DestinationFormat}} {
		if err := f.f.validate(f.name); err != nil {
			return err
		}
	}
	if err := p.checkRate(); err != nil {
		return err
	}
	return checkChoices(p.choices(nil))
}

// absolute expands ~ and refuses what is no absolute path of this machine. A URL is refused without
// repeating it: there may be a password in it.
func absolute(name, path string) (string, error) {
	switch {
	case path == "":
		return "", task.Errorf(task.InvalidArgument, "%s: missing", name).WithHint("give an absolute path")
	case strings.ContainsRune(path, 0):
		return "", task.Errorf(task.InvalidArgument, "%s: holds a NUL byte", name)
	}
	if isPostgres(path) {
		return path, nil
	}
	if scheme, _, ok := strings.Cut(path, "://"); ok && len(scheme) > 1 {
		return "", refuseURL(name, strings.ToLower(scheme), path)
	}
	if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~\`) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", task.Errorf(task.InvalidArgument, "%s: %s: no home folder: %w", name, path, err).WithHint("give an absolute path")
		}
		path = filepath.Join(home, path[1:])
	}
	if !filepath.IsAbs(path) {
		return "", task.Errorf(task.InvalidArgument, "%s: %s is a relative path", name, path).
			WithHint("give an absolute path: the daemon has no folder of yours to start from")
	}
	return filepath.Clean(path), nil
}

func refuseURL(name, scheme, path string) error {
	switch scheme {
	case "file", "sqlite", "sqlite3":
		hint := "give the plain path"
		if u, err := url.Parse(path); err == nil && filepath.IsAbs(u.Path) {
			hint += ": " + u.Path
		}
		return task.Errorf(task.InvalidArgument, "%s: a %s URL", name, scheme).WithHint("%s", hint)
	}
	return task.Errorf(task.Unimplemented, "%s: %s URLs are not supported", name, scheme).
		WithHint("migrations move between CSV, TSV, JSON Lines and SQLite files and PostgreSQL (postgres://...)")
}

// limit returns how many records to migrate at most.
func (p *params) limit() int64 {
	if p.RecordCount == nil {
		return MaxRecordCount
	}
	return *p.RecordCount
}

// title is what the task is called unless the caller says otherwise.
func (p *params) title() string {
	title := label(p.Source, first(p.SourceTable, p.Table)) + " -> " + label(p.Destination, first(p.DestinationTable, p.Table))
	if p.DryRun {
		return "dry run: " + title
	}
	return title
}

// batchSize is how many records are handed to the destination at once. A batch_size that was asked for is also
// how many records a checkpoint is for: what a caller of it expects.
func (p *params) batchSize() int {
	if p.BatchSize == nil {
		return defaultBatchSize
	}
	return *p.BatchSize
}
