// Constants that differ per platform: <fcntl.h>, <sys/socket.h>, <sys/mman.h>.
// Sources: linux/include/uapi, xnu/bsd/sys.

const DARWIN = Deno.build.os === "darwin";
const ARM = Deno.build.arch === "aarch64";

export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = DARWIN ? 67 : 1030;
export const F_SETPIPE_SZ = 1031; // Linux
export const F_GETPIPE_SZ = 1032; // Linux
export const F_ADD_SEALS = 1033; // Linux
export const F_GET_SEALS = 1034; // Linux
export const FD_CLOEXEC = 1;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = DARWIN ? 0x200 : 0o100;
export const O_EXCL = DARWIN ? 0x800 : 0o200;
export const O_NONBLOCK = DARWIN ? 0x4 : 0o4000;
export const O_DIRECTORY = DARWIN ? 0x100000 : ARM ? 0o40000 : 0o200000;
export const O_NOFOLLOW = DARWIN ? 0x100 : ARM ? 0o100000 : 0o400000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY; // Linux
export const O_ACCMODE = 3;
export const O_PATH = 0o10000000; // Linux
export const AT_FDCWD = -100; // Linux
export const AT_SYMLINK_FOLLOW = 0x400; // Linux
export const O_CLOEXEC = DARWIN ? 0x1000000 : 0o2000000;

export const SOL_SOCKET = DARWIN ? 0xffff : 1;
export const SO_TYPE = DARWIN ? 0x1008 : 3;
export const SOCK_STREAM = 1;
export const SO_SNDBUF = DARWIN ? 0x1001 : 7;
export const SO_KEEPALIVE = DARWIN ? 8 : 9;
export const SO_RCVBUF = DARWIN ? 0x1002 : 8;
export const SO_ACCEPTCONN = DARWIN ? 2 : 30;
export const SO_PEERCRED = 17; // Linux
export const SO_COOKIE = 57; // Linux
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = DARWIN ? 0x10 : 4;
export const TCP_KEEPINTVL = DARWIN ? 0x101 : 5;
export const TCP_KEEPCNT = DARWIN ? 0x102 : 6;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = DARWIN ? 30 : 10;
export const SCM_RIGHTS = 1;
export const MSG_DONTWAIT = DARWIN ? 0x80 : 0x40;
export const MSG_NOSIGNAL = 0x4000; // Linux
export const MSG_CMSG_CLOEXEC = 0x40000000; // Linux
export const MSG_PEEK = 2;
export const MSG_TRUNC = DARWIN ? 0x10 : 0x20;
export const MSG_CTRUNC = DARWIN ? 0x20 : 0x8;

export const SPLICE_F_MOVE = 1; // Linux
export const SPLICE_F_NONBLOCK = 2; // Linux
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFSOCK = 0o140000;

export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = DARWIN ? 0x1000 : 0x20;
export const MAP_NORESERVE = DARWIN ? 0x40 : 0x4000;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLNVAL = 32;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
