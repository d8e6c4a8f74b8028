// Tailscale in userspace for the scorecard: its test control plane, and two nodes that talk through derpers only.
//
//	control PORT DERP_PORT... | far CONTROL_URL TARGET_PORT | near CONTROL_URL LISTEN_PORT
//
// Each derper is a region of its own. Nothing leaves the machine: no logs are sent, and nodes have no sockets for packets.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"tailscale.com/envknob"
	"tailscale.com/ipn/store/mem"
	"tailscale.com/tailcfg"
	"tailscale.com/tsnet"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/logger"
)

const (
	streamPort = 7000
	// A dial that takes longer has failed; the scorecard dials again.
	dialTimeout = 2 * time.Second
	look        = 100 * time.Millisecond
)

func main() {
	// No logs to anybody, no UDP: all packets go through derpers.
	envknob.SetNoLogsNoSupport()
	envknob.Setenv("TS_DEBUG_ALWAYS_USE_DERP", "true")
	if len(os.Args) < 4 {
		log.Fatal("expected control PORT DERP_PORT..., far CONTROL_URL TARGET_PORT or near CONTROL_URL LISTEN_PORT")
	}
	switch os.Args[1] {
	case "control":
		runControl(os.Args[2], os.Args[3:])
	case "far":
		runFar(os.Args[2], os.Args[3])
	case "near":
		runNear(os.Args[2], os.Args[3])
	}
}

func runControl(port string, derpers []string) {
	regions := map[int]*tailcfg.DERPRegion{}
	for index, derper := range derpers {
		derpPort, err := strconv.Atoi(derper)
		if err != nil {
			log.Fatal(err)
		}
		id := index + 1
		code := fmt.Sprintf("r%d", id)
		regions[id] = &tailcfg.DERPRegion{
			RegionID: id, RegionCode: code, RegionName: code,
			Nodes: []*tailcfg.DERPNode{{
				Name: code, RegionID: id, HostName: "127.0.0.1", IPv4: "127.0.0.1", IPv6: "none",
				DERPPort: derpPort, STUNPort: -1, InsecureForTests: true,
			}},
		}
	}
	control := &testcontrol.Server{
		Logf:             logger.Discard,
		DERPMap:          &tailcfg.DERPMap{Regions: regions},
		ExplicitBaseURL:  "http://127.0.0.1:" + port,
		AllNodesSameUser: true,
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, control))
}

func node(name, control string) *tsnet.Server {
	dir, err := os.MkdirTemp("", "scorecard-"+name)
	if err != nil {
		log.Fatal(err)
	}
	logf := logger.Discard
	if envknob.Bool("SCORECARD_VERBOSE") {
		logf = log.Printf
	}
	server := &tsnet.Server{Dir: dir, Store: new(mem.Store), Hostname: name, ControlURL: control, Ephemeral: true, Logf: logf, UserLogf: logf}
	if _, err := server.Up(context.Background()); err != nil {
		log.Fatal(err)
	}
	return server
}

func runFar(control, target string) {
	listener, err := node("far", control).Listen("tcp", fmt.Sprintf(":%d", streamPort))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	for {
		stream, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			socket, err := net.Dial("tcp", "127.0.0.1:"+target)
			if err != nil {
				stream.Close()
				return
			}
			splice(stream, socket)
		}()
	}
}

func runNear(control, listen string) {
	server := node("near", control)
	address := ""
	for ; address == ""; time.Sleep(look) {
		address = addressOf(server, "far")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	for {
		socket, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
			defer cancel()
			stream, err := server.Dial(ctx, "tcp", fmt.Sprintf("%s:%d", address, streamPort))
			if err != nil {
				socket.Close()
				return
			}
			splice(socket, stream)
		}()
	}
}

func addressOf(server *tsnet.Server, name string) string {
	client, err := server.LocalClient()
	if err != nil {
		log.Fatal(err)
	}
	status, err := client.Status(context.Background())
	if err != nil {
		return ""
	}
	for _, peer := range status.Peer {
		if peer.HostName == name && len(peer.TailscaleIPs) > 0 {
			return peer.TailscaleIPs[0].String()
		}
	}
	return ""
}

// splice copies both ways until both have ended; what breaks one way breaks both.
func splice(one, other net.Conn) {
	defer one.Close()
	defer other.Close()
	ends := make(chan error, 2)
	copyTo := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			err = half.CloseWrite()
		}
		ends <- err
	}
	go copyTo(one, other)
	go copyTo(other, one)
	if err := <-ends; err == nil {
		<-ends
	}
}
