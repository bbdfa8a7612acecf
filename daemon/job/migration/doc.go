// Package migration is the job kind data_migration: it moves records from a CSV, TSV, JSON Lines, Parquet or
// SQLite file or a PostgreSQL database to any of these, exactly once whatever dies on the way, and proves
// it by reading the destination back.
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
//
//   - A file destination is written beside its place as NAME.ROOT-ID.part, synced before each
//     checkpoint, and cut to the checkpoint's length by the next attempt. It is renamed only when it
//     has been verified; until then what was there before is untouched (mode=append works on a copy).
//     Of a failed or cancelled migration the .part file stays for a retry.
//
//   - A Parquet file has its directory at the end and cannot be cut. Its partial file is a chain of whole
//     Parquet files, one for each checkpoint, which can be cut between any two. They are merged into
//     NAME.ROOT-ID.part.merged, which is verified and published.
//
//   - A text file whose name ends in .gz or .zst is compressed. Each checkpoint ends a gzip member or a
//     zstd frame, so that it is cut like a plain one; a reader takes all members for one text. To go on
//     inside a compressed source, what comes before is read again and dropped.
//
//   - With on_error=file the records left out go to NAME.rejected.jsonl in the same way: line, reason,
//     and the text of the line or the values. It is published before the destination is. PostgreSQL has
//     no folder: there it is the artifact rejected.jsonl of the task, and of a retry its own.
//
//   - A PostgreSQL destination is as a SQLite one; the position lies in the schema of the table. A server
//     that dies, or a COMMIT whose answer is lost, is a loss of the connection: the attempt connects again
//     for up to a minute without progress, reads the position and goes on from there. After that it fails
//     as unavailable, and the task's policy decides. A literal password is gone with the task's end: a
//     position that a crash just then left in the table _durable_position stays, which harms nobody.
//
// A source path with *, ? or [ in it that names no file is a pattern: the files that match are read as one source, in the
// order of their names. They have one format and the same columns, of CSV and Parquet in any order; a type is one that
// suits them all. Names with a dot in front and folders are left out. A file that comes, goes or changes before the end is
// refused as a single one is. The position names the file.
//
// table=* is all tables of a database (not the views), found when the task is submitted, each to a table of the same name or to a
// file NAME.FORMAT in a folder. They are migrated one after the other, each with all phases, and a position of its own (its key is
// the line of tasks and the table's name); the checkpoint lists the tables that are complete. An attempt goes on in the
// table at which the last one died. What is complete stays when a later table fails: a retry goes on behind it. Each table is read in
// a snapshot of its own: of a database that is written to meanwhile, two tables may be of two moments.
//
// A PostgreSQL source is read in one REPEATABLE READ snapshot for each attempt, in the order of its primary
// key, else of a unique index without NULLs, else of the columns that key names. Another attempt goes on
// after the last key, once the transaction IDs of the rows have shown that nothing was written meanwhile
// (of a view or a query: once there are as many rows). Without a key it begins again from zero, with an
// emptied table; mode=append is refused then. A query of SQLite has a key only where key names one.
//
// mode=upsert needs a unique index on exactly the columns of key. What a record replaces is read first and
// taken off the sum, so that the end is proved as well. While mode=append or upsert is under way, nobody else
// may write to the table: the proof would fail.
//
// key names columns as the destination calls them, or else as the source does: where columns renames one,
// both find it.
//
// Passwords come by the URL, or by source_password and destination_password: env:NAME and file:PATH name one
// that the daemon reads at each attempt; a literal one is kept apart until the task's end. PGPASSFILE and
// ~/.pgpass work as they do for psql.
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
//	what                         to CSV, TSV       to JSON Lines     to SQLite               to PostgreSQL
//	NULL                         empty             null              NULL                    NULL
//	key that is not there        empty             not there         NULL                    NULL
//	empty cell of CSV, TSV       empty             "", or null in a typed column (all three)
//	boolean                      true, false       true, false       1, 0 in BOOLEAN         boolean
//	integer beyond int64         as written        as written        TEXT                    numeric
//	number beyond float64        as written        as written        TEXT                    numeric; with an exponent json, text
//	other numbers                fewest digits     fewest digits     INTEGER, REAL           bigint, double precision
//	object, array                JSON text         as it is          JSON text in JSON       json
//	blob                         base64            base64            BLOB                    bytea
//	infinity                     +Inf, -Inf        "+Inf", "-Inf"    REAL                    double precision
//	text that is not UTF-8       byte for byte     malformed record  byte for byte           malformed record
//	text with a NUL byte         byte for byte     as it is          byte for byte           malformed record
//
// Types of columns, where a source has them, or its values show them:
//
//	here               of Parquet                   of PostgreSQL                  new in SQLite
//	integer            INT64 (8 to 32 bits: read)   bigint (smallint, int: read)   INTEGER
//	real               DOUBLE (FLOAT: read)         double precision (real: read)  REAL
//	decimal(p,s)       DECIMAL(p,s), p up to 38     numeric(p,s)                   none: TEXT
//	decimal            JSON                         numeric                        none: TEXT
//	boolean            BOOLEAN                      boolean                        BOOLEAN
//	text               STRING (ENUM, UUID: read)    text (and all others: read)    TEXT
//	blob               BYTE_ARRAY                   bytea                          BLOB
//	json, mixed        JSON                         json (jsonb, arrays: read)     JSON; none
//	date               DATE                         date                           TEXT
//	timestamp          TIMESTAMP, UTC               timestamp with time zone       TEXT
//	local_timestamp    TIMESTAMP, local             timestamp without time zone    TEXT
//	... of nanoseconds TIMESTAMP(NANOS)             text: it would round them      TEXT
//
// Only Parquet and PostgreSQL have decimals of a size, dates and timestamps: elsewhere, and from elsewhere, they
// are numbers and text. What a Parquet file cannot hold of PostgreSQL is malformed: infinity as a date or timestamp,
// years before 1 and after 9999, NaN in a numeric(p,s). A query can make text of it.
//
// In a Parquet file all columns may be NULL, and NULL and "" stay apart. What is lost on the way there, and no
// more:
//
//	what                           to Parquet
//	key that is not there          NULL
//	empty cell of CSV, TSV         "", or NULL in a typed column
//	column of values of any kind   JSON, each value a JSON text of its own; there blobs are base64,
//	                               infinity is "+Inf", "-Inf" or "NaN"
//	integer beyond int64, and
//	number beyond float64          JSON, as written; text where it came as text
//	text of a time with its zone   text, as written: Parquet's own have no zone
//	text that is not UTF-8         malformed record
//	document                       JSON without white space
//
// From Parquet, dates, times and timestamps are text in ISO 8601 (with Z where the file says UTC), decimal
// numbers are numbers with all their digits, a UUID is text, FLOAT a number of float64, INTERVAL and FLOAT16 are
// blobs; unsigned integers are numbers; INT96 is a timestamp in UTC. To another Parquet file timestamps (of milliseconds as
// microseconds), dates and decimals of up to 38 digits keep their types; times become text. Nested and
// repeated columns are refused; choose the others with columns. So is a file compressed with LZ4 or LZO.
//
// In words: CSV and TSV have no types and no NULL (encoding/csv does not tell an empty cell from ""),
// and encoding/csv reads CR LF inside a quoted cell as LF. JSON Lines has no blobs; the order of keys
// becomes that of the columns; a lone surrogate escape becomes U+FFFD. SQLite has no booleans and no
// documents: BOOLEAN and JSON are declared types, and read back by this package as such. A column
// whose JSON values are of several kinds is declared without a type; in it booleans are 1 and 0.
// Between SQLite files the declared types come along; keys, indexes and constraints do not.
//
// PostgreSQL (13 or newer) as a source gives numeric with all its digits (SQLite: REAL where none is lost,
// else TEXT), json, jsonb and arrays as JSON (a JSON null as NULL), timestamps as RFC 3339 in UTC, bytea as a
// blob, and every other type as the server writes it. Between databases of PostgreSQL types and values stay; a
// type that the destination does not know becomes text. Constraints and indexes do not come along. In a new
// table 1.50 and numbers of more digits make a column numeric, which keeps them; JSON values of several kinds make
// it json, in which a string has its quotes. In a table that is there, its types decide: the server itself says how it
// will give back a timestamp, uuid or jsonb; what would lose digits is malformed; bytea takes base64 or \x and
// hexadecimal digits; an empty cell of CSV is NULL in all columns but text and bytea.
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
// Libraries: encoding/csv (see below) and encoding/json read and write the formats, modernc.org/sqlite is SQLite
// without cgo, xxhash is fast enough to disappear beside parsing and has a fixed seed (hash/maphash has
// none that survives a restart; SHA-256 defends against forgery, which nobody commits here).
//
// A record of CSV that lies whole on one line of the buffer is cut there by recordReader; whatever else there may be is
// left to encoding/csv, which reads from the same buffer and so stays the judge of the format. Rejected: the reader of
// another library, of which the rules, line numbers and offsets would be others.
//
// Between a text file and PostgreSQL or Parquet a record takes a short way, from the bytes of its cells to those that
// are sent and hashed, with no value between: an allocation for each cell had cost more than all else. What
// a look at the bytes does not tell (shapeOf) takes the long way, record by record; fuzz tests hold one against the
// other. Rejected: the short way for every pair, which would say each rule of the mapping twice.
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
// copy and gives the total that progress needs. The halves of a large CSV file are surveyed side by side.
//
// PostgreSQL is used by pgconn, the lower half of pgx, without its type system: rows go in by COPY in text
// format, a savepoint before each batch, and come back as text, over two connections that share a snapshot. A batch has
// 4 MiB where the server is fast and refuses nothing, down to 256 KiB elsewhere: a COPY costs something of its own, and a record that the
// server refuses is found by the line that its error names, then by halving. Rejected: COPY in binary format, which needs an
// encoder for each type and takes no unknown one; one COPY for all between two commits, which one refused record
// would have us send again from its beginning; cursors, since the protocol streams by itself; reading back what is committed while
// the rest is copied, which on two processors wins no more than it takes from the copy. The commit's answer may be lost,
// so that nothing follows from it; only the position counts. What is appended is told apart by a sum of the table
// before, since PostgreSQL has no rowid.
//
// Verification compares counts and the sum of the records' hashes. A sum does not depend on the order
// (tables have none), is carried over a restart in eight bytes, and can be taken of two halves of a
// table side by side. It covers what the destination gives back, after the mapping: a value that the
// mapping itself loses is in the table above, not in the hash.
//
// Rollback journal or write-ahead log stays as it is found; synchronous is EXTRA, because the commit of
// a rollback journal is the removal of a file, which FULL does not sync.
package migration
