# Converts the addresses of sockets between the system's form and Python's: IPv4, IPv6 and Unix. Header only.

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <stddef.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/un.h>

    typedef struct {
        struct sockaddr_storage storage;
        socklen_t length;
    } greenio_address;

    static inline int greenio_family_is_known(int family)
    {
        return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
    }

    /* Python's form of an address of one of the families above: a new reference. None if the system gave no address. */
    static inline PyObject *greenio_address_object(const greenio_address *address)
    {
        char text[INET6_ADDRSTRLEN];

        if (address->length == 0)
            Py_RETURN_NONE;
        if (address->storage.ss_family == AF_INET) {
            const struct sockaddr_in *in = (const struct sockaddr_in *) &address->storage;
            inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
            return Py_BuildValue("(si)", text, (int) ntohs(in->sin_port));
        }
        if (address->storage.ss_family == AF_INET6) {
            const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) &address->storage;
            inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
            return Py_BuildValue("(siII)", text, (int) ntohs(in->sin6_port), (unsigned int) ntohl(in->sin6_flowinfo),
                                 (unsigned int) in->sin6_scope_id);
        }
        if (address->storage.ss_family == AF_UNIX) {
            const struct sockaddr_un *un = (const struct sockaddr_un *) &address->storage;
            Py_ssize_t length = (Py_ssize_t) address->length - (Py_ssize_t) offsetof(struct sockaddr_un, sun_path);
            if (length > 0 && un->sun_path[0] == 0) /* Linux's abstract names */
                return PyBytes_FromStringAndSize(un->sun_path, length);
            if (length <= 0)
                return PyUnicode_FromString("");
            return PyUnicode_DecodeFSDefaultAndSize(un->sun_path, (Py_ssize_t) strnlen(un->sun_path, (size_t) length));
        }
        {
            const struct sockaddr *other = (const struct sockaddr *) &address->storage;
            return Py_BuildValue("(iy#)", (int) other->sa_family, other->sa_data, (Py_ssize_t) sizeof other->sa_data);
        }
    }

    /* The system's form of an IPv4 address such as ("1.2.3.4", 5). Returns 0 for any other address, and a wrong one. */
    static inline int greenio_address_of(PyObject *object, greenio_address *address)
    {
        struct sockaddr_in *in = (struct sockaddr_in *) &address->storage;
        PyObject *host, *port;
        const char *text;
        Py_ssize_t length;
        long number;

        if (!PyTuple_CheckExact(object) || PyTuple_GET_SIZE(object) != 2)
            return 0;
        host = PyTuple_GET_ITEM(object, 0);
        port = PyTuple_GET_ITEM(object, 1);
        if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host) || !PyLong_CheckExact(port))
            return 0;
        number = PyLong_AsLong(port);
        if (number == -1 && PyErr_Occurred())
            PyErr_Clear();
        if (number < 0 || number > 0xFFFF)
            return 0;
        text = PyUnicode_AsUTF8AndSize(host, &length);
        if (text == NULL) {
            PyErr_Clear();
            return 0;
        }
        memset(in, 0, sizeof *in);
        if (length >= INET_ADDRSTRLEN || strlen(text) != (size_t) length)
            return 0;
        if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
            return 0;
        in->sin_family = AF_INET;
        in->sin_port = htons((unsigned short) number);
        address->length = sizeof *in;
        return 1;
    }
    """
    ctypedef struct storage_t "struct sockaddr_storage":
        unsigned short ss_family
    ctypedef struct address_t "greenio_address":
        storage_t storage
    bint family_is_known "greenio_family_is_known"(int family)
    object object_of_address "greenio_address_object"(const address_t *address)
    bint address_of "greenio_address_of"(object address, address_t *result)
