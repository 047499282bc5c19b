// The C functions that this package calls, each parameter with its C name.
// All are optional: a platform that lacks one still opens the others.

/** The symbol table that `Deno.dlopen` gets. */
export const symbols = {
  // int *__errno_location(void) — glibc and musl
  __errno_location: { parameters: [], result: "pointer", optional: true },
  // int *__error(void) — macOS
  __error: { parameters: [], result: "pointer", optional: true },

  // int close(int fd)
  close: { parameters: ["i32"], result: "i32", optional: true },
  // int dup(int fd)
  dup: { parameters: ["i32"], result: "i32", optional: true },
  // int dup3(int from, int to, int flags) — Linux
  dup3: { parameters: ["i32", "i32", "i32"], result: "i32", optional: true },
  // int fcntl(int fd, int cmd, long arg) — variadic; on arm64 macOS the
  // argument would go on the stack, so callers pass none there
  fcntl: { parameters: ["i32", "i32", "i64"], result: "i32", optional: true },
  // ssize_t readlink(const char *path, char *buf, size_t size)
  readlink: {
    parameters: ["buffer", "buffer", "usize"],
    result: "isize",
    optional: true,
  },
  // int linkat(int olddir, const char *old, int newdir, const char *new, int)
  linkat: {
    parameters: ["i32", "buffer", "i32", "buffer", "i32"],
    result: "i32",
    optional: true,
  },
  // int open(const char *path, int flags, mode_t mode) — variadic
  open: { parameters: ["buffer", "i32", "u32"], result: "i32", optional: true },
  // ssize_t read(int fd, void *buf, size_t count)
  read: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    optional: true,
  },
  // ssize_t write(int fd, const void *buf, size_t count)
  write: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    optional: true,
  },
  // int pipe2(int fds[2], int flags) — Linux
  pipe2: { parameters: ["buffer", "i32"], result: "i32", optional: true },
  // int pipe(int fds[2])
  pipe: { parameters: ["buffer"], result: "i32", optional: true },
  // int mkfifo(const char *path, mode_t mode)
  mkfifo: { parameters: ["buffer", "u32"], result: "i32", optional: true },
  // int fstat(int fd, struct stat *buf) — glibc from 2.33 on
  fstat: { parameters: ["i32", "buffer"], result: "i32", optional: true },
  // int flock(int fd, int operation)
  flock: { parameters: ["i32", "i32"], result: "i32", optional: true },
  // off_t lseek(int fd, off_t offset, int whence)
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64", optional: true },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout)
  poll: {
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    optional: true,
  },
  // int setuid(uid_t uid) — for tests of permissions
  setuid: { parameters: ["u32"], result: "i32", optional: true },
  // int kill(pid_t pid, int sig)
  kill: { parameters: ["i32", "i32"], result: "i32", optional: true },

  // int getsockopt(int fd, int level, int name, void *val, socklen_t *len)
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
    optional: true,
  },
  // int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"],
    result: "i32",
    optional: true,
  },
  // int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
  getsockname: {
    parameters: ["i32", "buffer", "buffer"],
    result: "i32",
    optional: true,
  },
  // int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
  getpeername: {
    parameters: ["i32", "buffer", "buffer"],
    result: "i32",
    optional: true,
  },
  // int listen(int fd, int backlog)
  listen: { parameters: ["i32", "i32"], result: "i32", optional: true },
  // uid_t geteuid(void)
  geteuid: { parameters: [], result: "u32", optional: true },
  // int getpeereid(int fd, uid_t *uid, gid_t *gid) — macOS
  getpeereid: {
    parameters: ["i32", "buffer", "buffer"],
    result: "i32",
    optional: true,
  },
  // ssize_t send(int fd, const void *buf, size_t len, int flags)
  send: {
    parameters: ["i32", "buffer", "usize", "i32"],
    result: "isize",
    optional: true,
  },
  // ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
  sendmsg: {
    parameters: ["i32", "buffer", "i32"],
    result: "isize",
    optional: true,
  },
  // ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
  recvmsg: {
    parameters: ["i32", "buffer", "i32"],
    result: "isize",
    optional: true,
  },

  // int shm_open(const char *name, int oflag, mode_t mode)
  shm_open: {
    parameters: ["buffer", "i32", "u32"],
    result: "i32",
    optional: true,
  },
  // int shm_unlink(const char *name)
  shm_unlink: { parameters: ["buffer"], result: "i32", optional: true },
  // int memfd_create(const char *name, unsigned flags) — Linux
  memfd_create: {
    parameters: ["buffer", "u32"],
    result: "i32",
    optional: true,
  },
  // int ftruncate(int fd, off_t length)
  ftruncate: { parameters: ["i32", "i64"], result: "i32", optional: true },
  // int posix_fallocate(int fd, off_t offset, off_t len) — returns the errno
  posix_fallocate: {
    parameters: ["i32", "i64", "i64"],
    result: "i32",
    optional: true,
  },
  // void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
  mmap: {
    parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"],
    result: "pointer",
    optional: true,
  },
  // int munmap(void *addr, size_t len)
  munmap: { parameters: ["pointer", "usize"], result: "i32", optional: true },

  // ssize_t sendfile(int out, int in, off_t *offset, size_t count) — Linux
  sendfile: {
    parameters: ["i32", "i32", "buffer", "usize"],
    result: "isize",
    optional: true,
  },
  // The same on a thread of the pool, as it reads the disk where it has to
  sendfile_async: {
    name: "sendfile",
    parameters: ["i32", "i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
    optional: true,
  },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset)
  pread: {
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "isize",
    optional: true,
  },
  // The three on a thread of the pool, for files: errno can't be read after
  pread_async: {
    name: "pread",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "isize",
    nonblocking: true,
    optional: true,
  },
  read_async: {
    name: "read",
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
    optional: true,
  },
  write_async: {
    name: "write",
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
    optional: true,
  },
  // ssize_t splice(int in, off_t *, int out, off_t *, size_t, unsigned) — Linux
  splice: {
    parameters: ["i32", "pointer", "i32", "pointer", "usize", "u32"],
    result: "isize",
    optional: true,
  },
  // ssize_t getdents64(int fd, void *dirp, size_t count) — Linux, glibc 2.30
  getdents64: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    optional: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;
