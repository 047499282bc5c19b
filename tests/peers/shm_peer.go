// A peer in Go, written from docs/shm-layout.md alone, with nothing but Go's own
// packages.
//
//	shm_peer ring NAME COUNT  echoes COUNT records between two rings of a segment
//	shm_peer connect PATH     echoes the bytes of a shm: connection to PATH
//	shm_peer listen PATH      the same for a client that connects to PATH
//	shm_peer queue NAME COUNT      writes COUNT records to the queue of a segment
//	shm_peer broadcast NAME COUNT  receives until COUNT records came or were lost
//	shm_peer mutex NAME COUNT      adds 1 to the u32 at 64, with the mutex at 0
//	shm_peer seqlock NAME COUNT    writes { u32 a = n, b = 2 * n } so often
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	segmentMagic    = 0x4d534c53
	ringMagic       = 0x47524c53
	rendezvousMagic = 0x4e434c53
	segmentHeader   = 128
	ringHeader      = 512
	capacity        = 64 * 1024 // of the rings that are made here

	producerSide   = 16
	consumerSide   = 32
	producerSleeps = 128
	tailAt         = 256
	consumerSleeps = 384

	fAddSeals, fGetSeals           = 1033, 1034
	sealSeal, sealShrink, sealGrow = 1, 2, 4
)

type memory []byte

func (m memory) u32(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&m[at])) }
func (m memory) u64(at uint32) *uint64 { return (*uint64)(unsafe.Pointer(&m[at])) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func checked(ok bool, what string) {
	if !ok {
		check(errors.New(what))
	}
}

// --- Segments ---

func mapSegment(fd int) memory {
	var stat syscall.Stat_t
	check(syscall.Fstat(fd, &stat))
	bytes, err := syscall.Mmap(fd, 0, int(stat.Size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	check(err)
	return bytes
}

func openSegment(fd int) memory {
	m := mapSegment(fd)
	checked(len(m) > segmentHeader && atomic.LoadUint32(m.u32(4)) == 1 &&
		*m.u32(0) == segmentMagic && *m.u64(8) == uint64(len(m)) &&
		*m.u32(16) == segmentHeader, "not a segment")
	return m[segmentHeader:]
}

// createSegment makes an anonymous, sealed segment for two rings.
func createSegment() (int, memory) {
	number := map[string]uintptr{"amd64": 319, "arm64": 279}[runtime.GOARCH]
	name, _ := syscall.BytePtrFromString("sluice")
	const closeOnExec, allowSealing = 1, 2
	fd, _, errno := syscall.Syscall(number, uintptr(unsafe.Pointer(name)), closeOnExec|allowSealing, 0)
	checked(errno == 0, "memfd_create: "+errno.Error())
	length := int64(segmentHeader + 2*(ringHeader+capacity))
	check(syscall.Ftruncate(int(fd), length))
	_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, fAddSeals, sealSeal|sealShrink|sealGrow)
	checked(errno == 0, "F_ADD_SEALS: "+errno.Error())
	m := mapSegment(int(fd))
	*m.u32(0) = segmentMagic
	*m.u64(8) = uint64(length)
	*m.u32(16) = segmentHeader
	*m.u32(24) = uint32(os.Getpid())
	*m.u64(32) = startTime()
	var namespace syscall.Stat_t
	check(syscall.Stat("/proc/self/ns/pid", &namespace))
	*m.u32(40) = uint32(namespace.Ino)
	atomic.StoreUint32(m.u32(4), 1)
	return int(fd), m[segmentHeader:]
}

func startTime() uint64 {
	text, err := os.ReadFile("/proc/self/stat")
	check(err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	start, err := strconv.ParseUint(fields[19], 10, 64) // field 22, from field 3
	check(err)
	return start
}

// --- Rings ---

type ring struct {
	m         memory // the header
	data      memory
	capacity  uint32
	longest   uint32
	head      uint32 // producer: where the next record goes
	tail      uint32 // consumer: its position; producer: as last seen
	published uint32
}

func createRing(data memory, offset uint32) {
	m := data[offset:]
	*m.u32(0) = ringMagic
	*m.u32(8) = capacity
	*m.u32(12) = capacity/2 - 16
	atomic.StoreUint32(m.u32(4), 1)
}

func openRing(data memory, offset uint32) *ring {
	m := data[offset:]
	size := *m.u32(8)
	checked(atomic.LoadUint32(m.u32(4)) == 1 && *m.u32(0) == ringMagic &&
		size >= 64 && size <= 1<<30 && size&(size-1) == 0 &&
		*m.u32(12) == size/2-16 && len(m) >= int(ringHeader+size), "not a ring")
	return &ring{m: m, data: m[ringHeader : ringHeader+size], capacity: size, longest: size/2 - 16}
}

func (r *ring) claim(side uint32) {
	*r.m.u64(side + 8) = 0
	checked(atomic.CompareAndSwapUint32(r.m.u32(side), 0, uint32(os.Getpid())), "the side is held")
	atomic.StoreUint64(r.m.u64(side+8), startTime())
	atomic.StoreUint32(r.m.u32(side+4), 1)
}

func (r *ring) release(side uint32) {
	atomic.StoreUint32(r.m.u32(side+4), 2)
	atomic.StoreUint32(r.m.u32(side), 0)
}

func (r *ring) ended(side uint32) bool { return atomic.LoadUint32(r.m.u32(side+4)) == 2 }

func (r *ring) word(position uint32) *uint32 { return r.data.u32(position & (r.capacity - 1)) }

// write puts one record there, or says that there is no room.
func (r *ring) write(payload []byte) bool {
	length := uint32(len(payload))
	size := (length + 8 + 7) &^ 7
	var pad uint32
	if rest := r.capacity - r.head&(r.capacity-1); rest < size {
		pad = rest
	}
	need := size + pad + 8
	if need > r.capacity-(r.head-r.tail) {
		r.tail = atomic.LoadUint32(r.m.u32(tailAt))
		checked(r.head-r.tail <= r.capacity, "a tail that can't be right")
		if need > r.capacity-(r.head-r.tail) {
			return false
		}
	}
	start := r.head + pad
	copy(r.data[start&(r.capacity-1)+8:], payload)
	atomic.StoreUint32(r.word(start+size), 0)
	if pad != 0 {
		atomic.StoreUint32(r.word(start), length+8)
		atomic.StoreUint32(r.word(r.head), -pad)
	} else {
		atomic.StoreUint32(r.word(start), length+8)
	}
	r.head = start + size
	return true
}

// read gives the next record in place, or says that there is none. It is good
// until the next read.
func (r *ring) read() (memory, bool) {
	for skipped := false; ; skipped = true {
		at := r.tail & (r.capacity - 1)
		word := int32(atomic.LoadUint32(r.word(r.tail)))
		if word == 0 {
			r.publish()
			return nil, false
		}
		if word < 0 {
			checked(!skipped && uint32(-word) == r.capacity-at && at != 0, "a padding that can't be right")
			r.tail += uint32(-word)
			continue
		}
		checked(word >= 8 && uint32(word) <= r.longest+8 && at+uint32(word) <= r.capacity, "a record that can't be right")
		if r.tail-r.published >= r.capacity/4 {
			r.publish()
		}
		r.tail += (uint32(word) + 7) &^ 7
		return r.data[at+8 : at+uint32(word)], true
	}
}

func (r *ring) publish() {
	if r.published != r.tail {
		r.published = r.tail
		atomic.StoreUint32(r.m.u32(tailAt), r.tail)
	}
}

func echoRecords(name string, count int) {
	file, err := os.OpenFile("/dev/shm/"+name, os.O_RDWR, 0)
	check(err)
	data := openSegment(int(file.Fd()))
	from := openRing(data, 0)
	to := openRing(data, ringHeader+from.capacity)
	from.claim(consumerSide)
	to.claim(producerSide)
	record := make([]byte, from.longest)
	for ; count > 0; count-- {
		length := -1
		for length < 0 {
			if payload, ok := from.read(); ok {
				length = copy(record, payload) // its place may be written again
			} else {
				runtime.Gosched()
			}
		}
		for !to.write(record[:length]) {
			runtime.Gosched()
		}
	}
	from.publish()
	from.release(consumerSide)
	to.release(producerSide)
}

// --- The other structures, at the start of a segment's data ---

func openNamed(name string, magic uint32) memory {
	file, err := os.OpenFile("/dev/shm/"+name, os.O_RDWR, 0)
	check(err)
	data := openSegment(int(file.Fd()))
	checked(atomic.LoadUint32(data.u32(4)) == 1 && *data.u32(0) == magic, "another structure")
	return data
}

func identity() uint64 { return uint64(os.Getpid()) | startTime()<<32 }

func lock(m memory, at uint32, own uint64) {
	for !atomic.CompareAndSwapUint64(m.u64(at), 0, own) {
		runtime.Gosched()
	}
}

func pair(word int32, second uint32) uint64 { return uint64(uint32(word)) | uint64(second)<<32 }

// fillQueue writes records of the slot and a number, of 8 to 57 bytes.
func fillQueue(name string, count int) {
	const headAt, queueTail, slots, queueHeader = 128, 256, 384, 896
	m := openNamed(name, 0x504d4c53)
	size := *m.u32(8)
	data := m[queueHeader : queueHeader+size]
	slot := uint32(0)
	for !atomic.CompareAndSwapUint64(m.u64(slots+8*slot), 0, identity()) {
		slot++
		checked(slot < 64, "no slot is free")
	}
	for n := 0; n < count; {
		payload := memory(make([]byte, 8+n%50))
		*payload.u32(0), *payload.u32(4) = slot, uint32(n)
		length := uint32(len(payload)) + 8
		need := (length + 7) &^ 7
		head := atomic.LoadUint64(m.u64(headAt))
		position, last := uint32(head), uint32(head>>32)&0xffffff*8
		var skip uint32
		if rest := size - position&(size-1); rest < need {
			skip = rest
		}
		if position-atomic.LoadUint32(m.u32(queueTail))+skip+need > size {
			runtime.Gosched()
			continue
		}
		if last > 0 {
			start := position - last
			atomic.CompareAndSwapUint64(data.u64(start&(size-1)), pair(0, start), pair(-int32(last), uint32(head>>56)))
		}
		next := uint64(position+skip+need) | uint64((skip+need)/8)<<32 | uint64(slot)<<56
		if !atomic.CompareAndSwapUint64(m.u64(headAt), head, next) {
			continue
		}
		place := (position + skip) & (size - 1)
		copy(data[place+8:], payload)
		atomic.StoreUint32(data.u32(place), length)
		if skip > 0 {
			atomic.StoreUint32(data.u32(position&(size-1)), 1<<30+skip)
		}
		n++
	}
	atomic.StoreUint64(m.u64(slots+8*slot), 0)
}

// receive takes records whose first word is their number.
func receive(name string, count int) {
	const intent, end, latest, header = 128, 132, 136, 256
	m := openNamed(name, 0x43424c53)
	size := *m.u32(8)
	data := m[header : header+size]
	position := atomic.LoadUint32(m.u32(end))
	fmt.Println("ready")
	received := 0
	for next := 0; next < count; {
		if position == atomic.LoadUint32(m.u32(end)) {
			runtime.Gosched()
			continue
		}
		at := position & (size - 1)
		word, number := int32(atomic.LoadUint32(data.u32(at))), *data.u32(at + 4)
		valid := word >= 12 && at+uint32(word) <= size
		var content uint32
		if valid {
			content = *data.u32(at + 8)
		}
		if atomic.LoadUint32(m.u32(intent))-position > size { // it may be torn
			position = atomic.LoadUint32(m.u32(latest))
			continue
		}
		if word < 0 {
			position += uint32(-word)
			continue
		}
		checked(valid && content == number && int(number) >= next, "a record that can't be right")
		next = int(number) + 1
		received++
		position += (uint32(word) + 7) &^ 7
	}
	fmt.Println(received)
}

func count(name string, times int) {
	m := openNamed(name, 0x584d4c53)
	own := identity()
	for ; times > 0; times-- {
		lock(m, 16, own)
		*m.u32(64)++
		checked(atomic.CompareAndSwapUint64(m.u64(16), own, 0), "another one has the lock")
	}
}

func writeStructs(name string, times int) {
	m := openNamed(name, 0x51534c53)
	own := identity()
	for n := uint32(1); n <= uint32(times); n++ {
		lock(m, 16, own)
		sequence := atomic.AddUint32(m.u32(12), 1)
		atomic.StoreUint32(m.u32(32), n)
		atomic.StoreUint32(m.u32(36), 2*n)
		atomic.StoreUint32(m.u32(12), sequence+1)
		checked(atomic.CompareAndSwapUint64(m.u64(16), own, 0), "another one has the lock")
	}
}

// --- Connections ---

type stream struct {
	socket   *net.UnixConn
	from, to *ring
	alive    bool
}

func newStream(socket *net.UnixConn, from, to *ring) *stream {
	from.claim(consumerSide)
	to.claim(producerSide)
	return &stream{socket, from, to, true}
}

// wake sends a byte where the peer sleeps at the word.
func (s *stream) wake(word *uint32) {
	if atomic.SwapUint32(word, 0) == 1 {
		s.socket.Write([]byte{0}) // it may be gone: then nobody sleeps there
	}
}

// sleep waits for a byte, unless there is something to do already.
func (s *stream) sleep(word *uint32, ready func() bool) {
	atomic.StoreUint32(word, 1)
	if ready() {
		atomic.StoreUint32(word, 0)
		return
	}
	_, err := s.socket.Read(make([]byte, 64))
	s.alive = s.alive && err == nil
}

// read gives some bytes, or none at the end.
func (s *stream) read() []byte {
	for {
		ended := s.from.ended(producerSide) // looked at before the ring
		published := s.from.published
		payload, ok := s.from.read()
		if s.from.published != published {
			s.wake(s.from.m.u32(producerSleeps))
		}
		if ok && len(payload) > 0 {
			return append([]byte(nil), payload...)
		}
		if ok {
			continue
		}
		if ended {
			return nil
		}
		checked(s.alive, "the peer died")
		s.sleep(s.from.m.u32(consumerSleeps), func() bool {
			return atomic.LoadUint32(s.from.word(s.from.tail)) != 0 || s.from.ended(producerSide)
		})
	}
}

func (s *stream) write(bytes []byte) {
	for len(bytes) > 0 {
		piece := bytes[:min(len(bytes), int(s.to.longest))]
		for !s.to.write(piece) {
			checked(s.alive, "the peer died")
			tail := s.to.tail
			s.sleep(s.to.m.u32(producerSleeps), func() bool {
				return atomic.LoadUint32(s.to.m.u32(tailAt)) != tail
			})
		}
		s.wake(s.to.m.u32(consumerSleeps))
		bytes = bytes[len(piece):]
	}
}

func (s *stream) echo() {
	total := 0
	for bytes := s.read(); bytes != nil; bytes = s.read() {
		s.write(bytes)
		total += len(bytes)
	}
	s.to.release(producerSide)
	s.wake(s.to.m.u32(consumerSleeps))
	s.from.release(consumerSide)
	for s.alive { // until the peer is gone too
		_, err := s.socket.Read(make([]byte, 64))
		s.alive = err == nil
	}
	s.socket.Close()
	fmt.Println(total)
}

func connectTo(path string) {
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	check(err)
	message := memory(make([]byte, 16))
	control := make([]byte, syscall.CmsgSpace(4))
	n, controls, _, _, err := socket.ReadMsgUnix(message, control)
	check(err)
	checked(n == 16 && *message.u32(0) == rendezvousMagic && *message.u32(4) == 1, "not a rendezvous")
	parsed, err := syscall.ParseSocketControlMessage(control[:controls])
	check(err)
	fds, err := syscall.ParseUnixRights(&parsed[0])
	check(err)
	seals, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fds[0]), fGetSeals, 0)
	checked(errno == 0 && seals&sealShrink != 0, "not sealed")
	data := openSegment(fds[0])
	from := openRing(data, 0)
	newStream(socket, from, openRing(data, ringHeader+from.capacity)).echo()
}

func listenAt(path string) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	check(err)
	fmt.Println("ready")
	socket, err := listener.AcceptUnix()
	check(err)
	fd, data := createSegment()
	createRing(data, 0)
	createRing(data, ringHeader+capacity)
	connection := newStream(socket, openRing(data, ringHeader+capacity), openRing(data, 0))
	message := memory(make([]byte, 16))
	*message.u32(0) = rendezvousMagic
	*message.u32(4) = 1
	_, _, err = socket.WriteMsgUnix(message, syscall.UnixRights(fd), nil)
	check(err)
	connection.echo()
	listener.Close()
}

func main() {
	mode, place := os.Args[1], os.Args[2]
	withCount := map[string]func(string, int){
		"ring": echoRecords, "queue": fillQueue, "broadcast": receive, "mutex": count, "seqlock": writeStructs,
	}
	switch mode {
	case "connect":
		connectTo(place)
	case "listen":
		listenAt(place)
	default:
		times, err := strconv.Atoi(os.Args[3])
		check(err)
		withCount[mode](place, times)
	}
}
