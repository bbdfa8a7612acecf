// Package hosts writes durable's entry into the configuration files of MCP hosts, the programs that launch
// durable-mcp: [All] is the table of them, [Host.Files] says which files a host reads on a [System], [PlanAdd] and
// [PlanRemove] say what would change, and [Change.Apply] does it.
//
// # Design
//
// Such a file is a person's: it has comments, an order, tabs, a byte order mark, keys of other servers. So an edit
// puts bytes in and takes bytes out, at places that a parser has named, and leaves all others as they are.
// github.com/tailscale/hujson reads JSON as hosts write it (comments, trailing commas) and keeps the offset of every
// value; TOML goes by the raw ranges of go-toml's unstable parser, which the rest of the house uses already. What was
// made is read again: it must hold our entry, and all else must mean what it meant, or nothing is written. A file
// that the parser does not understand is left alone.
//
// In an entry that is there already only our own keys are set (command, args, and DURABLE_HOME and DURABLE_SOCKET
// in env): a time limit or a list of approved tools stays.
//
// Remove takes back what add did, to the byte. Whether "mcpServers": {} was there before add, or the file was empty,
// cannot be seen in the result, so remove asks the backups first: one that add would turn into the present file is
// what was there before. Without one it tries what it could have been and takes the first that add would turn into
// the present file; when somebody has edited the file since, it cuts out the entry alone. A file that add has made,
// and that holds nothing else, is deleted; a folder that add has made stays.
//
// A write is a temporary file beside the target, fsync, a comparison with what was read, rename, fsync of the folder.
// A host may rewrite its file at any time (Claude Code does so all day): when the file is no longer what was read, the
// change is made anew on what is there. Between comparison and rename a window of microseconds is left, which only
// a lock that hosts know could close; there is none. Symbolic links are followed to their target, which keeps its mode
// and, where we may, its owner. What was there before is kept beside it as NAME.durable-TIME.bak, the last three.
//
// Rejected: decoding and encoding the file (loses comments, order, numbers beyond 2^53); hujson's Patch (formats what it
// touches, and cannot be undone to the byte); the hosts' own commands such as "claude mcp add" (not every host has
// one, they are slow, and those that exist differ in what they overwrite); renameio (none for Windows).
//
// Where each path comes from is said in the table, hosts.go.
package hosts
