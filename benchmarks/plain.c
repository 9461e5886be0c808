/* What the system itself costs: echo over TCP or UDP with nothing but epoll and the calls that receive and send.
 *
 *     cc -O2 -o plain plain.c && ./plain echo|udp
 *
 * Prints its port, and serves until it is ended with SIGTERM, as servers.py does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 1024

static char block[65536];

static void watch(int poll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static void echo_datagrams(int fd)
{
    struct sockaddr_in sender;
    socklen_t length = sizeof sender;
    ssize_t count;
    while ((count = recvfrom(fd, block, sizeof block, 0, (struct sockaddr *) &sender, &length)) >= 0)
        sendto(fd, block, count, 0, (struct sockaddr *) &sender, length);
}

static void accept_one(int poll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0)
        watch(poll, fd);
}

static void echo(int fd)
{
    ssize_t sent, count = recv(fd, block, sizeof block, 0), done = 0;
    if (count <= 0)
        close(fd);
    while (done < count)
        if ((sent = send(fd, block + done, count - done, 0)) > 0)
            done += sent;
}

int main(int argc, char **argv)
{
    int udp = argc > 1 && strcmp(argv[1], "udp") == 0;
    int server = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event ready[MOST];
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (bind(server, (struct sockaddr *) &address, sizeof address) || (!udp && listen(server, MOST))) {
        perror("plain");
        return 1;
    }
    getsockname(server, (struct sockaddr *) &address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(poll, server);
    for (;;) {
        int count = epoll_wait(poll, ready, MOST, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (udp)
                echo_datagrams(fd);
            else if (fd == server)
                accept_one(poll, server);
            else
                echo(fd);
        }
    }
}
