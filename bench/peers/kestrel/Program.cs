// Kestrel with minimal API routes, as RequestDelegates: no binding, no log. Arguments: port, route (not
// used: all are there), protocol (http, https, h2, h2c), files of certificate and key.

using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var hello = "Hello, World!"u8.ToArray();
var large = new byte[100 * 1024];
Array.Fill(large, (byte)'x');

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(options =>
    options.Listen(IPAddress.Loopback, int.Parse(args[0], CultureInfo.InvariantCulture), listen =>
    {
        listen.Protocols = args[2] switch
        {
            "http" => HttpProtocols.Http1,
            "h2c" => HttpProtocols.Http2,
            _ => HttpProtocols.Http1AndHttp2,
        };
        if (args.Length > 3) listen.UseHttps(X509Certificate2.CreateFromPemFile(args[3], args[4]));
    }));
var app = builder.Build();

// Written and not flushed: Kestrel sends what has gathered once it has no further request.
static Task Send(HttpContext context, string type, byte[] body)
{
    var response = context.Response;
    response.ContentType = type;
    response.ContentLength = body.Length;
    response.BodyWriter.Write(body);
    return Task.CompletedTask;
}

static Task SendText(HttpContext context, string body) =>
    Send(context, "text/plain", Encoding.ASCII.GetBytes(body));

static async Task<byte[]> ReadAll(HttpRequest request)
{
    // The pipe gathers; a body of this size is there at once as a rule.
    var reader = request.BodyReader;
    for (; ; )
    {
        var result = await reader.ReadAsync();
        if (result.IsCompleted)
        {
            var body = result.Buffer.ToArray();
            reader.AdvanceTo(result.Buffer.End);
            return body;
        }
        reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
    }
}

// The two middlewares of the async scenario wrap only its own path, as in the other peers.
RequestDelegate later = async context => await SendText(context, await LookUp());
for (var i = 0; i < 2; i++)
{
    var next = later;
    later = async context => await next(context);
}

static ValueTask<string> LookUp() => new("Hello, World!");

app.MapGet("/plaintext", (RequestDelegate)(context => Send(context, "text/plain", hello)));

app.MapGet("/json", (RequestDelegate)(context =>
    Send(context, "application/json", JsonSerializer.SerializeToUtf8Bytes(
        new Greeting("Hello, World!"), Source.Default.Greeting))));

app.MapGet("/users/{id}", (RequestDelegate)(context =>
{
    var headers = context.Request.Headers;
    var length = headers.UserAgent.ToString().Length + headers.Accept.ToString().Length
        + headers.Authorization.ToString().Length + headers["X-Request-Id"].ToString().Length;
    return SendText(context, $"{context.Request.RouteValues["id"]} {length}");
}));

app.MapGet("/async", later);

app.MapGet("/large", (RequestDelegate)(context => Send(context, "text/plain", large)));

app.MapPost("/echo", (RequestDelegate)(async context =>
    await Send(context, "application/octet-stream", await ReadAll(context.Request))));

app.MapPost("/upload", (RequestDelegate)(async context =>
{
    var reader = context.Request.BodyReader;
    long bytes = 0;
    for (; ; )
    {
        var result = await reader.ReadAsync();
        bytes += result.Buffer.Length;
        reader.AdvanceTo(result.Buffer.End);
        if (result.IsCompleted) break;
    }
    await SendText(context, bytes.ToString(CultureInfo.InvariantCulture));
}));

app.MapPost("/bench.Greeter/SayHello", (RequestDelegate)(async context =>
{
    var answer = Greet(await ReadAll(context.Request));
    var response = context.Response;
    response.ContentType = "application/grpc";
    response.AppendTrailer("grpc-status", answer is null ? "3" : "0");
    if (answer is not null) response.BodyWriter.Write(answer);
}));

// greet() of apps/shared.mjs.
static byte[]? Greet(byte[] body)
{
    const int prefix = 5;
    const int start = prefix + 2;
    if (body.Length < start || body[0] != 0) return null;
    if (BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(1)) != body.Length - prefix) return null;
    if (body[start - 1] != body.Length - start) return null;
    var greeting = "Hello, "u8;
    var answer = new byte[body.Length + greeting.Length];
    BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(1), (uint)(answer.Length - prefix));
    answer[prefix] = 0x0a;
    answer[start - 1] = (byte)(answer.Length - start);
    greeting.CopyTo(answer.AsSpan(start));
    body.AsSpan(start).CopyTo(answer.AsSpan(start + greeting.Length));
    return answer;
}

app.Run();

internal sealed record Greeting(string Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Greeting))]
internal sealed partial class Source : JsonSerializerContext;
