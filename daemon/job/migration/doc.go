// Package migration is the job kind data_migration: it moves records from a CSV, TSV, JSON Lines,
// Parquet or SQLite file to any of these, exactly once whatever dies on the way, and proves it by
// reading the destination back.
//
// # Phases
//
// A migration first surveys its source: one pass that counts the records, finds the columns and their
// types, and meets every malformed record before anything is written. It then copies, verifies and
// publishes. Each phase is durable before the next begins; an attempt goes on from where the last was.
//
//   - A SQLite destination commits the records and the position (table _durable_position) in one
//     transaction, so that neither is ever ahead of the other. The position names the attempt that owns
//     it: an attempt that was overtaken gets job.ErrFenced. It is removed by [Kind.Clean], after the
//     task's end is durable. Of a failed or cancelled migration, table and position stay for a retry.
//   - A file destination is written beside its place as NAME.ROOT-ID.part, synced before each
//     checkpoint, and cut to the checkpoint's length by the next attempt. It is renamed only when it
//     has been verified; until then what was there before is untouched (mode=append works on a copy).
//     Of a failed or cancelled migration the .part file stays for a retry.
//   - A Parquet file has its directory at the end and cannot be cut. Its partial file is a chain of whole
//     Parquet files, one for each checkpoint, which can be cut between any two. They are merged into
//     NAME.ROOT-ID.part.merged, which is verified and published.
//   - A text file whose name ends in .gz or .zst is compressed. Each checkpoint ends a gzip member or a
//     zstd frame, so that it is cut like a plain one; a reader takes all members for one text. To go on
//     inside a compressed source, what comes before is read again and dropped.
//   - With on_error=file the records left out go to NAME.rejected.jsonl in the same way: line, reason,
//     and the text of the line or the values. It is published before the destination is.
//
// mode=replace of a SQLite table drops it in the first transaction: after the survey, but before the
// copy. A text file that changes between survey and end, or between two attempts, is refused. A SQLite
// source is read in one read transaction for each attempt, so that others may write meanwhile, but
// between two attempts it must not change.
//
// # Mapping
//
// Between files of the same format, and in general, every value arrives as it was, except:
//
//	what                         to CSV, TSV       to JSON Lines     to SQLite
//	NULL                         empty             null              NULL
//	key that is not there        empty             not there         NULL
//	empty cell of CSV, TSV       empty             "", or null in a typed column (both)
//	boolean                      true, false       true, false       1, 0 in a column BOOLEAN
//	integer beyond int64         as written        as written        TEXT
//	number beyond float64        as written        as written        TEXT
//	other numbers                fewest digits     fewest digits     INTEGER, REAL
//	object, array                JSON text         as it is          JSON text in a column JSON
//	blob                         base64            base64            BLOB
//	infinity                     +Inf, -Inf        "+Inf", "-Inf"    REAL
//	text that is not UTF-8       byte for byte     malformed record  byte for byte
//
// A Parquet file gets a column of type INT64, DOUBLE, BOOLEAN, STRING, BYTE_ARRAY or JSON; all may be
// NULL, and NULL and "" stay apart. What is lost on the way there, and no more:
//
//	what                           to Parquet
//	key that is not there          NULL
//	empty cell of CSV, TSV         "", or NULL in a typed column
//	column of values of any kind   JSON, each value a JSON text of its own; there blobs are base64,
//	                               infinity is "+Inf", "-Inf" or "NaN"
//	integer beyond int64, and
//	number beyond float64          JSON, as written; text where it came as text
//	timestamp with a zone          text, as written: Parquet's own have no zone
//	text that is not UTF-8         malformed record
//	document                       JSON without white space
//
// From Parquet, dates, times and timestamps are text in ISO 8601 (with Z where the file says UTC), decimal
// numbers are numbers as written, a UUID is text, FLOAT a number of float64, INTERVAL and FLOAT16 are
// blobs; unsigned integers are numbers. To another Parquet file timestamps (of milliseconds as
// microseconds), dates and decimals of up to 38 digits keep their types; times become text. Nested and
// repeated columns are refused; choose the others with columns.
//
// In words: CSV and TSV have no types and no NULL (encoding/csv does not tell an empty cell from ""),
// and encoding/csv reads CR LF inside a quoted cell as LF. JSON Lines has no blobs; the order of keys
// becomes that of the columns; a lone surrogate escape becomes U+FFFD. SQLite has no booleans and no
// documents: BOOLEAN and JSON are declared types, and read back by this package as such. A column
// whose JSON values are of several kinds is declared without a type; in it booleans are 1 and 0.
// Between SQLite files the declared types come along; keys, indexes and constraints do not.
//
// A column of a CSV or TSV file gets a type only where every one of its cells is written back as it
// was read: 007, +1, 1e5, 1.50 and " 1" make it text. In mode=append a table's declared types decide,
// as they do in SQLite (007 becomes 7 in an INTEGER column); what would lose digits there is refused
// as malformed.
//
// A malformed record (on_error=fail) fails the task. The survey finds it before there is a destination,
// unless only the destination refuses it (a constraint, text that is not UTF-8): then the records
// before it stay where they are, and a retry goes on from there.
//
// # Design
//
// Libraries: encoding/csv and encoding/json read and write the formats, modernc.org/sqlite is SQLite
// without cgo, xxhash is fast enough to disappear beside parsing and has a fixed seed (hash/maphash has
// none that survives a restart; SHA-256 defends against forgery, which nobody commits here).
//
// parquet-go reads and writes Parquet in pure Go, and merges files by copying their row groups as bytes.
// Row groups of less than half a full one are put together again: a checkpoint each second would leave
// thousands. Compression is Snappy: it costs next to nothing and every reader knows it.
// Appending to the footer by hand, without a merge, was rejected: it would save one pass over the file
// and be our own writer of a format with a
// library. The library panics over some damaged files: such a panic is an error with the file's name.
//
// klauspost/compress has both formats, and its gzip is faster than that of the standard library.
//
// rate_limit counts the records that are copied; the survey before is not slowed.
//
// SQLite is used through its database/sql driver, but not through sql.DB: one connection needs no pool,
// and the conversions between would cost a third of the time.
//
// Types come from a full pass over the source, not from a sample: a sample is wrong about the one zip
// code with a leading zero in the last line. Storing each value by its own type, which SQLite allows,
// was rejected because it makes a column hold 7 and '007' side by side. The pass costs a tenth of the
// copy and gives the total that progress needs.
//
// Verification compares counts and the sum of the records' hashes. A sum does not depend on the order
// (tables have none), is carried over a restart in eight bytes, and can be taken of two halves of a
// table side by side. It covers what the destination gives back, after the mapping: a value that the
// mapping itself loses is in the table above, not in the hash.
//
// Rollback journal or write-ahead log stays as it is found; synchronous is EXTRA, because the commit of
// a rollback journal is the removal of a file, which FULL does not sync.
package migration
