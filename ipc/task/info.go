package task

import (
	"encoding/json"
	"time"
)

// API is the version of the local API: an integer that grows when something is added that a client may
// want to know of. /v1 itself only ever grows.
const API = 1

// Info is what a daemon says of itself.
type Info struct {
	Version   string    `json:"version"`
	API       int       `json:"api"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
	Uptime    Duration  `json:"uptime"`
	// Lives says what ends the daemon: see the Lives words.
	Lives Lives `json:"lives"`
	Paths Paths `json:"paths"`
	Disk  Disk  `json:"disk"`
	// Capabilities are the optional things that this service can do; what is absent is [Unimplemented].
	Capabilities []Capability   `json:"capabilities"`
	Counts       map[Status]int `json:"counts"`
	// Slots is how many attempts may run at once, Active how many hold a slot now.
	Slots  int `json:"slots"`
	Active int `json:"active"`
	// Draining: nothing new is started (submits are accepted and queued).
	Draining bool `json:"draining"`
	// Warnings are for people, each with its remedy: records set aside, admission stopped, disk nearly full.
	Warnings []string `json:"warnings"`
}

// Lives says how long a daemon lives.
type Lives string

const (
	LivesService     Lives = "service"
	LivesUntilLogout Lives = "until_logout"
	LivesUntilReboot Lives = "until_reboot"
	LivesForeground  Lives = "foreground"
)

// Paths are where a daemon keeps its things.
type Paths struct {
	Socket string `json:"socket"`
	State  string `json:"state"`
	Store  string `json:"store"`
	Config string `json:"config"`
}

// Disk is what the state folder uses, and what its file system has left, in bytes.
type Disk struct {
	Store int64 `json:"store_bytes"`
	Tasks int64 `json:"tasks_bytes"`
	Free  int64 `json:"free_bytes"`
}

// Capability names something that not every service can do.
type Capability string

const (
	CapFilterKind  Capability = "filter.kind"
	CapFilterLabel Capability = "filter.label"
	CapQueues      Capability = "queues"
	CapRunAt       Capability = "run_at"
	CapDependsOn   Capability = "depends_on"
	CapPause       Capability = "pause"
	CapApprove     Capability = "approve"
	CapInput       Capability = "input"
	CapStdin       Capability = "stdin"
	CapArtifacts   Capability = "artifacts"
	CapBackup      Capability = "backup"
	CapDrain       Capability = "drain"
	CapReload      Capability = "reload"
	CapPrune       Capability = "prune"
)

// KindInfo describes a job kind.
type KindInfo struct {
	Name string `json:"name"`
	// Alias is what people type instead of Name: "migration" for data_migration.
	Alias       string `json:"alias,omitempty"`
	Title       string `json:"title"`
	Description string `json:"description"`
	// Tool is the MCP tool that starts it; empty: none does.
	Tool string `json:"tool,omitempty"`
	// Schema is the JSON Schema (2020-12) of its parameters. A property with "writeOnly" is a secret.
	Schema json.RawMessage `json:"schema"`
	// UserDefined: comes from the configuration.
	UserDefined bool `json:"user_defined,omitempty"`
	// Streams are what an attempt writes, the main one first; empty: StreamLog alone.
	Streams []string `json:"streams,omitempty"`
}

// Stats are figures for people and dashboards.
type Stats struct {
	Counts map[Status]int `json:"counts"`
	Total  int            `json:"total"`
	// Active counts the attempts that hold a worker slot or a shim now.
	Active int `json:"active"`
	Slots  int `json:"slots"`
	Queued int `json:"queued"`

	Uptime     Duration `json:"uptime"`
	Submitted  uint64   `json:"submitted_since_start"`
	Started    uint64   `json:"started_since_start"`
	Ended      uint64   `json:"ended_since_start"`
	Commits    uint64   `json:"commits_since_start"`
	Disk       Disk     `json:"disk"`
	JournalLen uint64   `json:"journal_events"`
	// Subscribers is the number of event streams that are open.
	Subscribers int `json:"subscribers"`
}
