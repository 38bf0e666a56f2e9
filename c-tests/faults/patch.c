// Patching the library's table of imported functions.
//
// A relocation says where in the library the address of an imported function is to go. Writing there catches every call of the
// library's and no other's; asking a function for its return address would miss those that the compiler made jumps.

#include "../test.h"

#include "inject.h"
#include "wrap.h"
#include <link.h>
#include <sys/mman.h>

static uintptr_t where(const struct dl_phdr_info *info, ElfW(Addr) address) {
    // glibc writes absolute addresses into its copy of the dynamic section, others do not.
    return address < info->dlpi_addr ? info->dlpi_addr + address : address;
}

static const struct wrapper *find(const char *name) {
    for (const struct wrapper *w = wrappers; w->name; ++w) {
        if (strcmp(w->name, name) == 0) {
            return w;
        }
    }
    return NULL;
}

struct dynamic {
    const ElfW(Sym) *symbols;
    const char *names;
    // The relocations of data, and those of functions that are called through stubs.
    const ElfW(Rela) *tables[2];
    size_t sizes[2];
};

static struct dynamic read_dynamic(const struct dl_phdr_info *info, const ElfW(Dyn) *dyn) {
    struct dynamic d = {0};
    for (; dyn->d_tag != DT_NULL; ++dyn) {
        uintptr_t at = where(info, dyn->d_un.d_ptr);
        switch (dyn->d_tag) {
        case DT_SYMTAB:
            d.symbols = (const ElfW(Sym) *)at;
            break;
        case DT_STRTAB:
            d.names = (const char *)at;
            break;
        case DT_RELA:
            d.tables[0] = (const ElfW(Rela) *)at;
            break;
        case DT_RELASZ:
            d.sizes[0] = dyn->d_un.d_val / sizeof(ElfW(Rela));
            break;
        case DT_JMPREL:
            d.tables[1] = (const ElfW(Rela) *)at;
            break;
        case DT_PLTRELSZ:
            d.sizes[1] = dyn->d_un.d_val / sizeof(ElfW(Rela));
            break;
        }
    }
    return d;
}

// After relocation this part was made read-only.
static void make_writable(const struct dl_phdr_info *info, const ElfW(Phdr) *relro) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (info->dlpi_addr + relro->p_vaddr) & ~(page - 1);
    uintptr_t end = (info->dlpi_addr + relro->p_vaddr + relro->p_memsz + page - 1) & ~(page - 1);
    CHECK_EQ(mprotect((void *)start, end - start, PROT_READ | PROT_WRITE), 0);
}

static int patch(struct dl_phdr_info *info, size_t size, void *found) {
    (void)size;
    if (!strstr(info->dlpi_name, "libioq.so")) {
        return 0;
    }

    struct dynamic d = {0};
    for (size_t i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_DYNAMIC) {
            d = read_dynamic(info, (const ElfW(Dyn) *)(info->dlpi_addr + header->p_vaddr));
        } else if (header->p_type == PT_GNU_RELRO) {
            make_writable(info, header);
        }
    }

    for (size_t table = 0; table < COUNT(d.tables); ++table) {
        for (size_t i = 0; i < d.sizes[table]; ++i) {
            const ElfW(Rela) *rela = &d.tables[table][i];
            const struct wrapper *w = find(d.names + d.symbols[ELF64_R_SYM(rela->r_info)].st_name);
            if (w) {
                *(function **)(info->dlpi_addr + rela->r_offset) = w->function;
                ((bool *)found)[w - wrappers] = true;
            }
        }
    }
    return 1;
}

void patch_library(void) {
    bool found[64] = {false};
    CHECK_EQ(dl_iterate_phdr(patch, found), 1);
    // Were one of these called in a way that is not seen, then nothing that is tested here would be.
    for (const struct wrapper *w = wrappers; w->name; ++w) {
        if (w->needed && !found[w - wrappers]) {
            fprintf(stderr, "the library does not import %s()\n", w->name);
            _exit(1);
        }
    }
}
