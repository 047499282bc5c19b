// Reads records from the first ring of a segment and writes them to the second.
//   ring_echo <name> <count>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sluice_shm.h"

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                    \
    }                                                             \
  } while (0)

int main(int argc, char **argv) {
  CHECK(argc == 3);
  long count = atol(argv[2]);
  int fd = shm_open(argv[1], O_RDWR, 0);
  struct stat stat;
  CHECK(fd >= 0 && fstat(fd, &stat) == 0);
  size_t length = (size_t)stat.st_size;
  void *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(base != MAP_FAILED && sluice_segment_check(base, length) == 0);

  struct sluice_ring in, out;
  CHECK(sluice_ring_open(&in, base, length, 0) == 0);
  CHECK(sluice_ring_open(&out, base, length,
                         sizeof(struct sluice_ring_header) + in.capacity) == 0);
  CHECK(sluice_ring_reader(&in) == 0 && sluice_ring_writer(&out) == 0);
  static uint8_t buffer[65536];
  for (long i = 0; i < count; i++) {
    int64_t got;
    while ((got = sluice_ring_read(&in, buffer, sizeof buffer)) == SLUICE_EMPTY) {
      sched_yield();
    }
    CHECK(got >= 0);
    int put;
    while ((put = sluice_ring_write(&out, buffer, (uint32_t)got)) == SLUICE_EMPTY) {
      sched_yield();
    }
    CHECK(put == 0);
  }
  sluice_ring_publish(&in);
  sluice_side_release(&in.header->consumer);
  sluice_side_release(&out.header->producer);
  return 0;
}
