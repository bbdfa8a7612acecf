package migration

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// format is how records are kept.
type format string

const (
	formatCSV    format = "csv"
	formatTSV    format = "tsv"
	formatJSONL  format = "jsonl"
	formatSQLite format = "sqlite"

	formatParquet format = "parquet"
)

func (f format) delimited() bool { return f == formatCSV || f == formatTSV }
func (f format) database() bool  { return f == formatSQLite || f == formatPostgres }

// typed: a type of a column binds each of its values.
func (f format) typed() bool { return f == formatParquet || f == formatPostgres }

func (f format) comma() rune {
	if f == formatTSV {
		return '\t'
	}
	return ','
}

func (f format) validate(name string) error {
	switch f {
	case "", formatCSV, formatTSV, formatJSONL, formatSQLite, formatParquet:
		return nil
	case formatPostgres:
		return nil // a URL says it already; Prepare's own parameters come back here
	}
	return task.Errorf(task.InvalidArgument, "%s: %q, want csv, tsv, jsonl, parquet or sqlite", name, string(f))
}

func errCompressed(name string) error {
	return task.Errorf(task.Unimplemented, "%s: only CSV, TSV and JSON Lines may be compressed, with gzip or zstd", name).
		WithHint("decompress it first, or name a destination without that extension")
}

// byExtension returns the format that path's extension stands for; "" if it stands for none.
func byExtension(name, path string) (format, error) {
	packed, plain := compressionOf(path)
	switch strings.ToLower(filepath.Ext(plain)) {
	case ".csv":
		return formatCSV, nil
	case ".tsv", ".tab":
		return formatTSV, nil
	case ".jsonl", ".ndjson":
		return formatJSONL, nil
	case ".db", ".sqlite", ".sqlite3", ".db3":
		if packed == compressNone {
			return formatSQLite, nil
		}
		return "", errCompressed(name + " " + path)
	case ".parquet":
		if packed == compressNone {
			return formatParquet, nil
		}
		return "", errCompressed(name + " " + path)
	case ".bz2", ".xz":
		return "", errCompressed(name + " " + path)
	}
	return "", nil
}

// sniffLen is how much of a file is looked at to tell its format.
const sniffLen = 64 << 10

// head returns the beginning of a file, of its text if it is compressed.
func head(path string) ([]byte, error) {
	f, err := openText(path, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	b := make([]byte, sniffLen)
	n, err := io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return b[:n], err
}

const (
	sqliteMagic  = "SQLite format 3\x00"
	parquetMagic = "PAR1"
)

// binary formats are told by their beginning: none is ever mistaken for another.
func (f format) binary() bool { return f == formatSQLite || f == formatParquet }

// byContent returns the format that content, a file's beginning, looks like; "" if like none. A
// content that can be named but not read is an error.
func byContent(name string, content []byte) (format, error) {
	if err := checkReadable(name, content); err != nil {
		return "", err
	}
	if bytes.HasPrefix(content, []byte(sqliteMagic)) {
		return formatSQLite, nil
	}
	if bytes.HasPrefix(content, []byte(parquetMagic)) {
		return formatParquet, nil
	}
	content = bytes.TrimLeft(bytes.TrimPrefix(content, bom), " \t\r\n")
	line, _, whole := bytes.Cut(content, []byte("\n"))
	switch {
	case len(line) == 0 || bytes.IndexByte(content, 0) >= 0:
		return "", nil
	case line[0] == '[':
		return "", errJSONDocument(name)
	case line[0] == '{':
		if whole && len(bytes.TrimSpace(line)) == 1 {
			return "", errJSONDocument(name)
		}
		return formatJSONL, nil
	}
	commas, tabs := bytes.Count(line, []byte(",")), bytes.Count(line, []byte("\t"))
	switch {
	case commas+tabs == 0:
		return "", nil
	case tabs > commas:
		return formatTSV, nil
	}
	return formatCSV, nil
}

// bom is the UTF-8 byte order mark, which some programs put before the first line.
var bom = []byte("\xef\xbb\xbf")

// checkReadable refuses contents that no reader of ours can make sense of.
func checkReadable(name string, content []byte) error {
	has := func(magic string) bool { return bytes.HasPrefix(content, []byte(magic)) }
	switch {
	case has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"), has("BZh"), has("\xfd7zXZ\x00"):
		return errCompressed(name)
	case has("PK\x03\x04"):
		return task.Errorf(task.Unimplemented, "%s: a ZIP archive or an Excel workbook", name).
			WithHint("save the sheet as CSV")
	case has("\xff\xfe"), has("\xfe\xff"):
		return task.Errorf(task.InvalidArgument, "%s: UTF-16 text", name).
			WithHint("convert it first: iconv -f utf-16 -t utf-8 FILE > NEW")
	}
	return nil
}

func errJSONDocument(name string) error {
	return task.Errorf(task.InvalidArgument, "%s: a JSON document, not JSON Lines (one object on each line)", name).
		WithHint("convert it first: jq -c '.[]' FILE > NEW.jsonl")
}

// sourceFormat tells the format of the source by what the caller said, extension, then content.
func sourceFormat(p *params, content []byte) (format, error) {
	f := p.SourceFormat
	if f == "" {
		var err error
		if f, err = byExtension("source", p.Source); err != nil {
			return "", err
		}
	}
	looks, err := byContent("source "+p.Source, content)
	switch {
	case f == "" && err != nil:
		return "", err
	case f == "" && looks == "":
		return "", task.Errorf(task.InvalidArgument, "source %s: unknown format", p.Source).
			WithHint("CSV, TSV, JSON Lines, Parquet and SQLite are known; say which with source_format")
	case f == "":
		return looks, nil
	}
	if err != nil && (f == formatJSONL || checkReadable("source", content) != nil) {
		return "", err
	}
	if len(content) > 0 && f != looks && (f.binary() || looks.binary()) {
		return "", task.Errorf(task.InvalidArgument, "source %s: is not %s, whatever its name says", p.Source, f).
			WithHint("give it its true extension, or say which format it has with source_format")
	}
	return f, nil
}

// destinationFormat tells the format of the destination: what the caller said, extension, the content
// of what is there already, and for a new file without an extension the source's.
func destinationFormat(p *params, content []byte) (format, error) {
	if p.DestinationFormat != "" {
		if packed, _ := compressionOf(p.Destination); packed != compressNone && p.DestinationFormat.binary() {
			return "", errCompressed("destination " + p.Destination)
		}
		return p.DestinationFormat, nil
	}
	f, err := byExtension("destination", p.Destination)
	if f != "" || err != nil {
		return f, err
	}
	if len(content) > 0 {
		if f, err = byContent("destination "+p.Destination, content); f != "" || err != nil {
			return f, err
		}
	}
	if packed, plain := compressionOf(p.Destination); filepath.Ext(plain) == "" && (packed == compressNone || !p.SourceFormat.binary()) {
		return p.SourceFormat, nil
	}
	return "", task.Errorf(task.InvalidArgument, "destination %s: unknown format", p.Destination).
		WithHint("use the extension .csv, .tsv, .jsonl, .parquet or .db, or say it with destination_format")
}
