# The addon, for node-gyp: prebuildify and the build at install. CMakeLists.txt builds the same for
# development and for C tests. Both read native/sources.txt.
#
# Node exports llhttp_* and nghttp2_* of its own, of other versions. Three things keep ours apart:
# hidden visibility in every object, -Bsymbolic, and a version script that exports the two names that
# Node looks for. OpenSSL on the other hand is Node's: its headers come with Node's. -z now makes a
# symbol that Node lacks fail when the addon is loaded, not in the first request.
{
  'variables': {
    'wh_lto%': '<!(node scripts/lib/gyp.mjs lto)',
  },
  'target_defaults': {
    'include_dirs': [
      'native/core',
      'native/core/generated',
      'native',
      'native/deps/vendor/llhttp/include',
      'native/deps/vendor/nghttp2/include',
    ],
    'defines': [
      'LLHTTP_STRICT_MODE=1',
      'NGHTTP2_STATICLIB=1',
      'NAPI_VERSION=8',
    ],
    'conditions': [
      ['OS!="win"', {
        'defines': [
          '_GNU_SOURCE=1',
          'HAVE_ARPA_INET_H=1',
          'HAVE_NETINET_IN_H=1',
          'HAVE_CLOCK_GETTIME=1',
          'HAVE_DECL_CLOCK_MONOTONIC=1',
        ],
        'cflags': [
          '-g',
          '-fPIC',
          '-fvisibility=hidden',
          '-fno-semantic-interposition',
          '-ffunction-sections',
          '-fdata-sections',
        ],
        'cflags_c': ['-std=gnu11'],
        'cflags_cc': ['-fvisibility-inlines-hidden', '-fno-exceptions', '-fno-rtti'],
        'xcode_settings': {
          'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
          'GCC_C_LANGUAGE_STANDARD': 'gnu11',
          'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
          'MACOSX_DEPLOYMENT_TARGET': '11.0',
        },
      }],
      ['wh_lto==1', {
        'configurations': {
          'Release': {
            'cflags': ['-flto=auto'],
            'ldflags': ['-flto=auto', '-O3'],
          },
        },
      }],
    ],
  },
  'targets': [
    {
      # Other people's code, with their warnings off.
      'target_name': 'windhover_vendor',
      'type': 'static_library',
      'sources': ['<!@(node scripts/lib/gyp.mjs vendor)'],
      'cflags': ['-w'],
      'cflags!': ['-Wall', '-Wextra'],
      'xcode_settings': { 'WARNING_CFLAGS': ['-w'] },
    },
    {
      'target_name': 'windhover',
      'dependencies': ['windhover_vendor'],
      'sources': ['<!@(node scripts/lib/gyp.mjs own)'],
      'cflags': [
        '-Wall',
        '-Wextra',
        '-Wundef',
        '-Wpointer-arith',
        '-Wvla',
        '-Wformat=2',
        '-Wno-unused-parameter',
      ],
      'cflags_c': [
        '-Wshadow',
        '-Wstrict-prototypes',
        '-Wmissing-prototypes',
        '-Wold-style-definition',
      ],
      'conditions': [
        ['OS=="linux"', {
          'ldflags': [
            '-Wl,-Bsymbolic',
            # Relative to build/, where the linker runs: the package's path may contain spaces.
            '-Wl,--version-script=../native/binding/exports.map',
            '-Wl,--gc-sections',
            '-Wl,-z,now',
            '-Wl,-z,relro',
            '-Wl,-z,noexecstack',
          ],
        }],
      ],
    },
  ],
}
