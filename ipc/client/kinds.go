package client

import (
	"encoding/json"
	"os"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// ListedKinds returns the kinds that the daemon at that socket ("" is the usual one) listed when it last read its
// configuration, from the file that it left for this: no daemon has to run. A file that is not there or cannot be
// read is no kinds.
func ListedKinds(path string) []task.KindInfo {
	p, err := socket.Find(path)
	if err != nil {
		return nil
	}
	raw, err := os.ReadFile(p.Kinds)
	if err != nil {
		return nil
	}
	var list struct {
		Kinds []task.KindInfo `json:"kinds"`
	}
	if json.Unmarshal(raw, &list) == nil {
		return list.Kinds
	}
	var bare []task.KindInfo
	if json.Unmarshal(raw, &bare) != nil {
		return nil
	}
	return bare
}
