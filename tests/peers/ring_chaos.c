// Forks producers and consumers and kills them at random moments.
//   ring_chaos <name> <kills>
//
// The producers write to the first ring records of {run, index, index, ...}; the
// consumers read numbered records from the second. A word after the rings says
// how it went: 1 for the end, 2 for what a consumer found wrong.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "sluice_shm.h"

static void *base;
static size_t length;
static size_t second;

static struct sluice_ring open_ring(size_t offset) {
  struct sluice_ring ring;
  if (sluice_ring_open(&ring, base, length, offset) != 0) _exit(3);
  return ring;
}

static void produce(uint32_t run) {
  struct sluice_ring ring = open_ring(0);
  if (sluice_ring_writer(&ring) != 0) _exit(4);
  uint32_t words[32];
  for (uint32_t index = 0;; index++) {
    uint32_t count = 2 + index % 30;
    words[0] = run;
    for (uint32_t i = 1; i < count; i++) words[i] = index;
    int put;
    while ((put = sluice_ring_write(&ring, words, count * 4)) == SLUICE_EMPTY) {
      sched_yield();
    }
    if (put != 0) _exit(5);
  }
}

static void consume(_Atomic uint32_t *verdict) {
  struct sluice_ring ring = open_ring(second);
  if (sluice_ring_reader(&ring) != 0) _exit(6);
  uint32_t words[32];
  int64_t next = -1;
  for (;;) {
    int64_t got = sluice_ring_read(&ring, words, sizeof words);
    if (got == SLUICE_EMPTY) {
      sched_yield();
      continue;
    }
    int wrong = got < 4 || (next >= 0 && words[0] != (uint32_t)next);
    for (int64_t i = 1; !wrong && i < got / 4; i++) wrong = words[i] != words[0];
    if (wrong) atomic_store(verdict, 2);
    next = (int64_t)words[0] + 1;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int kills = atoi(argv[2]);
  int fd = shm_open(argv[1], O_RDWR, 0);
  struct stat stat;
  if (fd < 0 || fstat(fd, &stat) != 0) return 2;
  length = (size_t)stat.st_size;
  base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED || sluice_segment_check(base, length) != 0) return 2;
  struct sluice_ring in = open_ring(0);
  second = sizeof(struct sluice_ring_header) + in.capacity;
  struct sluice_ring out = open_ring(second);
  _Atomic uint32_t *verdict =
      (void *)((uint8_t *)base + sizeof(struct sluice_segment) + 2 * second);
  srand(1);
  for (int kill_count = 0; kill_count < kills; kill_count += 2) {
    pid_t producer = fork();
    if (producer == 0) produce((uint32_t)kill_count);
    pid_t consumer = fork();
    if (consumer == 0) consume(verdict);
    if (producer < 0 || consumer < 0) return 2;
    struct timespec pause = {0, 1000L * (100 + rand() % 1500)};
    nanosleep(&pause, NULL);
    kill(producer, SIGKILL);
    kill(consumer, SIGKILL);
    int status;
    for (int i = 0; i < 2; i++) {
      pid_t ended = wait(&status);
      if (ended < 0) return 2;
      if (WIFEXITED(status)) {
        fprintf(stderr, "a child ended with %d\n", WEXITSTATUS(status));
        return 1;
      }
    }
    // Both are proven dead, so their sides are free.
    atomic_store(&in.header->producer.pid, 0);
    atomic_store(&out.header->consumer.pid, 0);
  }
  uint32_t none = 0;
  atomic_compare_exchange_strong(verdict, &none, 1);
  return 0;
}
