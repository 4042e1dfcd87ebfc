// Kestrel with its default options, and an application that reads the body and tells what it saw: in a field
// of the answer, because answers to HEAD have no body. Ends when its standard input does.

using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0));
var app = builder.Build();

app.Run(async context =>
{
    var request = context.Request;
    var body = new MemoryStream();
    await request.Body.CopyToAsync(body);
    var feature = context.Features.GetRequiredFeature<IHttpRequestFeature>();
    var trailers = context.Features.Get<IHttpRequestTrailersFeature>();
    var buffer = new ArrayBufferWriter<byte>();
    using (var json = new Utf8JsonWriter(buffer))
    {
        json.WriteStartObject();
        json.WriteString("method", request.Method);
        json.WriteString("path", feature.Path);
        json.WriteString("query", feature.QueryString);
        json.WriteString("target", feature.RawTarget);
        json.WriteString("protocol", feature.Protocol);
        json.WriteString("host", request.Headers.Host.ToString());
        json.WriteString("body", Encoding.Latin1.GetString(body.ToArray()));
        WriteFields(json, "fields", request.Headers);
        if (trailers is { Available: true }) WriteFields(json, "trailers", trailers.Trailers);
        json.WriteEndObject();
    }
    context.Response.StatusCode = request.Method == "CONNECT" ? 501 : 200;
    context.Response.Headers["Seen"] = Convert.ToBase64String(buffer.WrittenSpan);
    context.Response.ContentLength = 2;
    await context.Response.WriteAsync("ok");
});

await app.StartAsync();
Console.WriteLine(new Uri(app.Urls.First()).Port);
await Console.In.ReadToEndAsync();
await app.StopAsync();

static void WriteFields(Utf8JsonWriter json, string name, IHeaderDictionary fields)
{
    json.WriteStartArray(name);
    foreach (var (field, values) in fields)
    {
        foreach (var value in values)
        {
            json.WriteStartArray();
            json.WriteStringValue(field);
            json.WriteStringValue(value);
            json.WriteEndArray();
        }
    }
    json.WriteEndArray();
}
