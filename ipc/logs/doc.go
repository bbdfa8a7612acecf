// Package logs reads the output of a task for people and models, through a [task.Service]: durablectl and the MCP server
// read the same lines. [Open] gives a [Reader]; its Next gives a [Line].
//
// What a program has written to stdout and stderr is one text again: [Options].Stream empty merges them by their times.
// The order is exact from mark to mark (a fifth of a second); between two marks stdout comes first. While it is
// followed, lines are in the order of their arrival. A log that has outgrown its limit has a line that marks the hole.
//
// A line is what ends with a newline. One that is longer than [Options].MaxLine comes in parts, and so does one
// that is followed and stays unfinished: a program that asks a question waits for the answer before it ends the line.
//
// # Design
//
// The streams stay bytes by offset in the API, and are merged here, by the reader: a merged stream in the daemon would
// have no offsets that last, and a program cannot be made to write both into one file and keep them apart. Marks
// instead of a time in each line leave the program's bytes alone, and cost the same for a flood as for a whisper.
//
// Escape sequences are taken out with the state machine of github.com/charmbracelet/x/ansi/parser, byte by byte and for
// each line by itself: an unfinished sequence in binary output costs at most its own line. A regular expression
// (acarl005/stripansi) leaves the addresses of hyperlinks that end in ESC \, which compilers write today. The rest
// of that module is not linked.
package logs
