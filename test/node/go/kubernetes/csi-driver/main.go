// csi-driver: one process that is a CSI node driver and its own registrar.
// A volume's data lies in <dir>/<volume id>/ (a folder), or in the ext4 image <dir>/<volume id>.img
// (fs mode: loop mounted at stage; block mode: loop device bound at publish).
// Health is read from <dir>/<volume id>.health and <dir>/storage.health: lines "STATUS Reason message".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
	reg "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

var (
	name  = flag.String("name", "hostpath.mini.example", "driver name")
	node  = flag.String("node", "node1", "node id")
	dir   = flag.String("dir", "", "where the volumes lie")
	root  = flag.String("root", "/var/lib/kubelet", "kubelet's folder")
	stats = flag.Bool("stats", true, "GET_VOLUME_STATS")
	hlth  = flag.Bool("health", true, "GET_VOLUME_HEALTH and GET_STORAGE_HEALTH")
)

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	reg.UnimplementedRegistrationServer
	sock string
}

func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: *name, VendorVersion: "0.1"}, nil
}
func (d *driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}
func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}
func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: *node}, nil
}
func (d *driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	r := &csi.NodeGetCapabilitiesResponse{}
	add := func(t csi.NodeServiceCapability_RPC_Type) {
		r.Capabilities = append(r.Capabilities, &csi.NodeServiceCapability{Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}}})
	}
	add(csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME)
	if *stats {
		add(csi.NodeServiceCapability_RPC_GET_VOLUME_STATS)
	}
	if *hlth {
		add(csi.NodeServiceCapability_RPC_GET_VOLUME_HEALTH)
		add(csi.NodeServiceCapability_RPC_GET_STORAGE_HEALTH)
	}
	return r, nil
}

func run(args ...string) (string, error) {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		err = status.Errorf(codes.Internal, "%v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out)), err
}
func mounted(p string) bool { return exec.Command("mountpoint", "-q", p).Run() == nil }
func image(id string) string {
	p := filepath.Join(*dir, id+".img")
	if _, err := os.Stat(p); err == nil {
		return p
	}
	return ""
}
func loopOf(img string) (string, error) {
	out, err := run("losetup", "-j", img)
	if err != nil {
		return "", err
	}
	if i := strings.IndexByte(out, ':'); i > 0 {
		return out[:i], nil
	}
	return run("losetup", "-f", "--show", img)
}

func (d *driver) NodeStageVolume(_ context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	img := image(r.VolumeId)
	if img != "" && r.VolumeCapability.GetMount() != nil && !mounted(r.StagingTargetPath) {
		if err := os.MkdirAll(r.StagingTargetPath, 0o750); err != nil {
			return nil, err
		}
		if _, err := run("mount", "-o", "loop", img, r.StagingTargetPath); err != nil {
			return nil, err
		}
	}
	return &csi.NodeStageVolumeResponse{}, nil
}
func (d *driver) NodeUnstageVolume(_ context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	if mounted(r.StagingTargetPath) {
		if _, err := run("umount", r.StagingTargetPath); err != nil {
			return nil, err
		}
	}
	if img := image(r.VolumeId); img != "" {
		if out, _ := run("losetup", "-j", img); out != "" {
			run("losetup", "-d", out[:strings.IndexByte(out, ':')])
		}
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}
func (d *driver) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	t := r.TargetPath
	if mounted(t) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	var src string
	switch {
	case r.VolumeCapability.GetBlock() != nil:
		img := image(r.VolumeId)
		if img == "" {
			return nil, status.Error(codes.NotFound, "no image")
		}
		l, err := loopOf(img)
		if err != nil {
			return nil, err
		}
		src = l
		f, err := os.OpenFile(t, os.O_CREATE|os.O_RDWR, 0o660)
		if err != nil {
			return nil, err
		}
		f.Close()
	default:
		if err := os.MkdirAll(t, 0o750); err != nil {
			return nil, err
		}
		src = r.StagingTargetPath
		if image(r.VolumeId) == "" {
			src = filepath.Join(*dir, r.VolumeId)
			if err := os.MkdirAll(src, 0o777); err != nil {
				return nil, err
			}
		}
	}
	if _, err := run("mount", "--bind", src, t); err != nil {
		return nil, err
	}
	if r.Readonly {
		if _, err := run("mount", "-o", "remount,bind,ro", t); err != nil {
			return nil, err
		}
	}
	return &csi.NodePublishVolumeResponse{}, nil
}
func (d *driver) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	t := r.TargetPath
	st, err := os.Stat(t)
	if errors.Is(err, os.ErrNotExist) {
		return &csi.NodeUnpublishVolumeResponse{}, nil
	}
	if mounted(t) || (err == nil && st.Mode()&os.ModeDevice != 0) {
		if _, err := run("umount", t); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(t); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}
func (d *driver) NodeGetVolumeStats(_ context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	st, err := os.Stat(r.VolumePath)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if st.Mode()&os.ModeDevice != 0 {
		f, err := os.Open(r.VolumePath)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		defer f.Close()
		n, err := f.Seek(0, 2)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{{Unit: csi.VolumeUsage_BYTES, Total: n}}}, nil
	}
	var s unix.Statfs_t
	if err := unix.Statfs(r.VolumePath, &s); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	b := int64(s.Bsize)
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{Unit: csi.VolumeUsage_BYTES, Total: int64(s.Blocks) * b, Available: int64(s.Bavail) * b, Used: int64(s.Blocks-s.Bfree) * b},
		{Unit: csi.VolumeUsage_INODES, Total: int64(s.Files), Available: int64(s.Ffree), Used: int64(s.Files - s.Ffree)},
	}}, nil
}

func healthLines(file string) (out [][3]string) {
	b, _ := os.ReadFile(filepath.Join(*dir, file))
	for _, l := range strings.Split(string(b), "\n") {
		f := strings.SplitN(strings.TrimSpace(l), " ", 3)
		if len(f) < 2 {
			continue
		}
		f = append(f, "")
		out = append(out, [3]string{f[0], f[1], f[2]})
	}
	return
}
func (d *driver) NodeGetVolumeHealth(_ context.Context, r *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	h := &csi.VolumeHealth{VolumeId: r.VolumeId}
	for _, l := range healthLines(r.VolumeId + ".health") {
		h.HealthStatuses = append(h.HealthStatuses, &csi.VolumeHealth_VolumeHealthEntry{Status: csi.VolumeHealthErrorType(csi.VolumeHealthErrorType_value[l[0]]), Reason: l[1], Message: l[2]})
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: h}, nil
}
func (d *driver) NodeGetStorageHealth(context.Context, *csi.NodeGetStorageHealthRequest) (*csi.NodeGetStorageHealthResponse, error) {
	r := &csi.NodeGetStorageHealthResponse{}
	for _, l := range healthLines("storage.health") {
		r.BackendHealth = append(r.BackendHealth, &csi.NodeGetStorageHealthResponse_StorageBackendHealth{Status: csi.StorageHealthErrorType(csi.StorageHealthErrorType_value[l[0]]), Reason: l[1], Message: l[2]})
	}
	return r, nil
}

func (d *driver) GetInfo(context.Context, *reg.InfoRequest) (*reg.PluginInfo, error) {
	return &reg.PluginInfo{Type: reg.CSIPlugin, Name: *name, Endpoint: d.sock, SupportedVersions: []string{"1.0.0"}}, nil
}
func (d *driver) NotifyRegistrationStatus(_ context.Context, s *reg.RegistrationStatus) (*reg.RegistrationStatusResponse, error) {
	log.Printf("registered=%v %s", s.PluginRegistered, s.Error)
	return &reg.RegistrationStatusResponse{}, nil
}

func listen(p string) net.Listener {
	os.MkdirAll(filepath.Dir(p), 0o755)
	os.Remove(p)
	l, err := net.Listen("unix", p)
	if err != nil {
		log.Fatal(err)
	}
	return l
}

func main() {
	flag.Parse()
	os.MkdirAll(*dir, 0o755)
	d := &driver{sock: filepath.Join(*root, "plugins", *name, "csi.sock")}
	logCall := grpc.UnaryInterceptor(func(ctx context.Context, req any, i *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		t := time.Now()
		r, err := h(ctx, req)
		log.Printf("%s {%v} -> {%v} %v %v", i.FullMethod, req, r, err, time.Since(t).Round(time.Microsecond))
		return r, err
	})
	s := grpc.NewServer(logCall)
	csi.RegisterIdentityServer(s, d)
	csi.RegisterNodeServer(s, d)
	go s.Serve(listen(d.sock))
	g := grpc.NewServer()
	reg.RegisterRegistrationServer(g, d)
	rs := filepath.Join(*root, "plugins_registry", *name+"-reg.sock")
	go g.Serve(listen(rs))
	fmt.Println("ready", d.sock)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	<-c
	s.Stop()
	g.Stop()
	os.Remove(rs)
	os.Remove(d.sock)
}
