package migration

import (
	"time"

	"durable/ipc/task"
)

// state is all that an attempt needs to go on from where the last one was: the task's checkpoint, and
// in a database destination the position row, which commits with the data and therefore is the truth.
type state struct {
	Phase   phase       `json:"phase"`
	Source  fingerprint `json:"source"`
	Columns []column    `json:"columns"`
	// Total is how many records there are to migrate.
	Total int64 `json:"total"`
	// Read is how many of them were read: those in the destination, and those it did not take.
	Read int64 `json:"read"`
	// At is where the next record is read.
	At position `json:"at"`
	// Done stands for the records that are in the destination, as the destination is to give them back.
	Done digest `json:"done"`
	// Skipped counts the records left out, Skips names the first of them.
	Skipped int64  `json:"skipped,omitempty"`
	Skips   []skip `json:"skips,omitempty"`
	// Rejected is the length of the file of records left out.
	Rejected int64 `json:"rejected,omitempty"`
	// Elapsed is the time that earlier attempts took.
	Elapsed task.Duration `json:"elapsed,omitempty"`

	File  fileState  `json:"file,omitzero"`
	Table tableState `json:"table,omitzero"`
}

// phase is how far a migration is. Each is durable before what belongs to the next begins.
type phase string

const (
	phaseCopying   phase = "copying"
	phaseVerifying phase = "verifying"  // all records are in the destination
	phasePublish   phase = "publishing" // and are what they should be; the file gets its name
)

// fileState is the part of a file destination.
type fileState struct {
	// Base is where our records begin, Length where they end, in bytes of the partial file.
	Base   int64 `json:"base"`
	Length int64 `json:"length"`
	// Merged is the length of the file that was made of a partial file of many, as of Parquet.
	Merged int64 `json:"merged,omitempty"`
	// Old is the file that is appended to.
	Old *fingerprint `json:"old,omitempty"`
}

// tableState is the part of a database destination.
type tableState struct {
	// After is the largest rowid before the first of ours.
	After *int64 `json:"after,omitempty"`
	// Before stands for what a table without such a rowid held.
	Before digest `json:"before,omitzero"`
	// Replaced stands for the records of the table that mode=upsert has replaced, ours among them.
	Replaced digest `json:"replaced,omitzero"`
}

// skip is one record left out.
type skip struct {
	Line  int64  `json:"line"`
	Error string `json:"error"`
}

// Limits of what is kept of records left out.
const (
	maxSkips     = 100
	maxSkipError = 200 // bytes
)

func (st *state) skip(e *rowError) {
	st.Skipped++
	if len(st.Skips) < maxSkips {
		st.Skips = append(st.Skips, skip{e.line, e.msg[:min(len(e.msg), maxSkipError)]})
	}
}

// result is what a migration ends with: the first six are the tutorial's.
type result struct {
	Migrated       int64   `json:"migrated_records"`
	Total          int64   `json:"total_records"`
	Source         string  `json:"source_path"`
	Destination    string  `json:"destination_path"`
	Success        bool    `json:"success"`
	CompletionTime float64 `json:"completion_time"` // Unix s

	Table       string `json:"destination_table,omitempty"`
	Verified    bool   `json:"verified"`
	ContentHash string `json:"content_hash"`
	Skipped     int64  `json:"skipped_records"`
	Skips       []skip `json:"skipped"`
	Rejects     string `json:"rejected_path,omitempty"`

	// Of a dry run.
	// Of table=*.
	Tables []tableResult `json:"tables,omitempty"`

	DryRun      bool            `json:"dry_run,omitempty"`
	Columns     []plannedColumn `json:"columns,omitempty"`
	CreateTable string          `json:"create_table,omitempty"`

	Bytes       int64   `json:"bytes"`
	Duration    float64 `json:"duration_seconds"`
	CopySeconds float64 `json:"copy_seconds"`
	VerifySecs  float64 `json:"verify_seconds"`
	ResumedFrom int64   `json:"resumed_from"`
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
